//! Which keys a flush of a join locks before it reads.
//!
//! If two transactions change different tables of a join, neither sees the other's rows, and both could miss the result
//! rows that join one with the other. Such rows have equal join keys. So each transaction locks the join keys of its
//! rows, after changing them and before reading anything.
//!
//! The leaves of the join form a tree. The keys of an *edge* are the values of its equated columns. Writers of the
//! edge's child side lock a key in a mode that is compatible with itself and conflicts with that of the parent side, so
//! writers of one side never wait for each other. A changed row locks
//! - at its own leaf: the edges from its children, as their parent side, and the edge to its parent, as the child side;
//! - at each row that it is joined with, from leaf to leaf towards the root: the edges from the children with higher
//!   numbers than the one it came from, and the edge to the next parent.
//!
//! **Any two leaves have a locked edge in common.** If one is an ancestor of the other, it is the last edge on the
//! path. If their paths meet in a third leaf, it is the edge by which the path with the higher number arrives there.
//! Rows that are joined with each other have equal keys there.
//!
//! **No deadlock.** Edges are numbered children first, so the edges along every path towards the root, and those beside
//! it, ascend. The keys of one edge are locked in order.
//!
//! A row between the two that a third transaction is still adding is not found on the path. That third transaction has
//! a locked edge in common with both, takes its locks later, and so sees both rows.

use std::collections::{BTreeMap, BTreeSet};

use crate::lower::Core;
use crate::name::ident;
use crate::plan::links::{Links, locate};
use crate::plan::references::Idle;
use crate::plan::source::Row;
use crate::rel::ops::Scan;
use crate::rel::term::Term;
use crate::rel::{Image, Rel, TableSet};
use crate::scalar::Scalar;

/// The end of an edge that is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    Child,
    Parent,
}

impl Side {
    pub fn other(self) -> Side {
        match self {
            Side::Child => Side::Parent,
            Side::Parent => Side::Child,
        }
    }
}

/// A part of the keys that a flush locks, before it becomes SQL: see [`crate::sql::locks::Step`].
pub(crate) struct Part {
    pub sides: Vec<(u16, Side)>,
    pub keys: PartKeys,
}

pub(crate) enum PartKeys {
    /// Queries for rows, with the edge, side and key of each. Either the changed rows themselves, or `followed` from
    /// leaf to leaf.
    Rows {
        queries: Vec<(Rel, [Scalar; 3])>,
        followed: bool,
    },
    Columns(Vec<(u16, Side, Vec<usize>)>),
    All,
}

/// The join tree of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tree {
    leaves: Vec<Scan>,
    /// In ascending order towards the root.
    edges: Vec<Edge>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Edge {
    child: usize,
    parent: usize,
    /// The equated expressions of the child and of the parent, over the product row. Without any, the edge has a single
    /// key, which all rows share.
    keys: Vec<(Scalar, Scalar)>,
}

/// An edge that must be locked when a leaf changes.
struct Need {
    edge: usize,
    side: Side,
    /// The leaves from the changed one to the one with the key columns.
    path: Vec<usize>,
}

impl Tree {
    /// The tree of a single product; `None` if the core is not a single product.
    pub fn new(core: &Core) -> Option<Tree> {
        let [term] = Term::all(&core.rel).ok()?.try_into().ok()?;
        let links = Links::new(&term, core);
        let root = (0..term.leaves.len()).find(|&leaf| !links.is_one(leaf)).unwrap_or(0);
        let parents = links.parents(root);
        let mut edges = Vec::new();
        add_edges(root, &parents, &links, &mut edges);
        Some(Tree { leaves: term.leaves, edges })
    }

    /// Whether the tree has only one leaf.
    pub fn is_leaf(&self) -> bool {
        self.edges.is_empty()
    }

    /// The locks for a change of these tables, some of which are idle. Rows of an idle table lock all edges except
    /// those that lead to the rows referencing them, since no other transaction can have such rows yet. But this
    /// transaction may add them later, and they are joined with rows of further tables.
    pub fn steps(&self, changed: &TableSet, idle: &Idle, row: Option<Row<'_>>, core: &Core) -> Vec<Part> {
        let table = |leaf: usize| self.leaves[leaf].table;
        let leaves =
            (0..self.leaves.len()).filter(|&leaf| changed.contains(&table(leaf)) || idle.contains_key(&table(leaf)));
        let mut edges: BTreeMap<usize, Vec<Need>> = BTreeMap::new();
        for need in leaves.flat_map(|leaf| self.open_needs(leaf, idle)) {
            edges.entry(need.edge).or_default().push(need);
        }
        let mut parts: Vec<Vec<Need>> = Vec::new();
        for needs in edges.into_values() {
            // The edges on a path must be locked before it is followed.
            let follows = |known: &Need| needs.iter().any(|need| self.is_on(known.edge, self.way(need)));
            let all = self.meets_all(&needs);
            match parts.last_mut().filter(|part| self.meets_all(part) == all && !part.iter().any(follows)) {
                Some(part) => part.extend(needs),
                None => parts.push(needs),
            }
        }
        parts.iter().map(|part| self.step(part, row, core)).collect()
    }

    /// An edge's keys in words.
    pub fn describe(&self, edge: u16, core: &Core) -> String {
        let Edge { child, parent, keys } = &self.edges[usize::from(edge)];
        let name = |position: usize| {
            let (leaf, column) = locate(&self.leaves, position);
            let table = &core.tables[self.leaves[leaf].table];
            format!("{}.{}", table.name, ident(&table.columns[column].name))
        };
        let table = |leaf: usize| core.tables[self.leaves[leaf].table].name.to_string();
        let equal = |(child, parent): &(Scalar, Scalar)| format!("{} = {}", child.render(name), parent.render(name));
        match keys.as_slice() {
            [] => format!("that all rows of {} and {} share", table(*child), table(*parent)),
            keys => keys.iter().map(equal).collect::<Vec<_>>().join(" AND "),
        }
    }

    /// The needs of a leaf, without those that lead to rows referencing it.
    fn open_needs(&self, leaf: usize, idle: &Idle) -> Vec<Need> {
        let mut needs = self.needs(leaf);
        if let Some(children) = idle.get(&self.leaves[leaf].table) {
            let leads_to = |need: &Need| {
                let Edge { child, parent, .. } = self.edges[need.edge];
                *need.path.get(1).unwrap_or(if child == leaf { &parent } else { &child })
            };
            needs.retain(|need| !children.contains(&self.leaves[leads_to(need)].table));
        }
        needs
    }

    fn needs(&self, leaf: usize) -> Vec<Need> {
        let below = |leaf: usize| (0..self.edges.len()).filter(move |&edge| self.edges[edge].parent == leaf);
        let above = |leaf: usize| (0..self.edges.len()).find(|&edge| self.edges[edge].child == leaf);
        let mut path = vec![leaf];
        let mut needs: Vec<Need> =
            below(leaf).map(|edge| Need { edge, side: Side::Parent, path: path.clone() }).collect();
        let mut next = above(leaf);
        while let Some(edge) = next {
            needs.push(Need { edge, side: Side::Child, path: path.clone() });
            let parent = self.edges[edge].parent;
            path.push(parent);
            let later = below(parent).filter(|&other| other > edge);
            needs.extend(later.map(|edge| Need { edge, side: Side::Parent, path: path.clone() }));
            next = above(parent);
        }
        needs
    }

    /// Whether some path passes an edge without keys, so that it leads to all rows of the leaf at its end.
    fn meets_all(&self, needs: &[Need]) -> bool {
        let passes = |(number, edge): (usize, &Edge)| {
            edge.keys.is_empty() && needs.iter().any(|need| self.is_on(number, self.way(need)))
        };
        self.edges.iter().enumerate().any(passes)
    }

    /// The leaves that must be read to find a key. The only key of an edge without columns needs no reading.
    fn way<'a>(&self, need: &'a Need) -> &'a [usize] {
        if self.edges[need.edge].keys.is_empty() { &need.path[..1] } else { &need.path }
    }

    fn is_on(&self, edge: usize, path: &[usize]) -> bool {
        let Edge { child, parent, .. } = self.edges[edge];
        path.windows(2).any(|pair| pair == [child, parent])
    }

    fn step(&self, needs: &[Need], row: Option<Row<'_>>, core: &Core) -> Part {
        let sides: BTreeSet<(u16, Side)> = needs.iter().map(|need| (need.edge as u16, need.side)).collect();
        let columns = row.and_then(|row| needs.iter().map(|need| self.columns(need, row, core)).collect());
        let keys = match columns {
            _ if self.meets_all(needs) => PartKeys::All,
            Some(columns) => PartKeys::Columns(columns),
            None => PartKeys::Rows {
                queries: needs.iter().map(|need| self.query(need)).collect(),
                followed: needs.iter().any(|need| self.way(need).len() > 1),
            },
        };
        Part { sides: sides.into_iter().collect(), keys }
    }

    /// The equated expressions at the end that is locked.
    fn ends(&self, need: &Need) -> impl Iterator<Item = &Scalar> {
        self.edges[need.edge].keys.iter().map(|(child, parent)| match need.side {
            Side::Child => child,
            Side::Parent => parent,
        })
    }

    /// The changed row's own columns that form the key, if they do.
    fn columns(&self, need: &Need, row: Row<'_>, core: &Core) -> Option<(u16, Side, Vec<usize>)> {
        let position = |key: &Scalar| {
            let (leaf, column) = locate(&self.leaves, key.as_column()?);
            let number = core.tables[self.leaves[leaf].table].columns[column].number;
            row.columns.iter().position(|&other| other == number)
        };
        let positions = self.ends(need).map(position).collect::<Option<Vec<usize>>>()?;
        (self.way(need).len() == 1).then_some((need.edge as u16, need.side, positions))
    }

    /// The rows at the end of a path, and for each of them edge, side and key.
    fn query(&self, need: &Need) -> (Rel, [Scalar; 3]) {
        let (ends, way): (Vec<&Scalar>, _) = (self.ends(need).collect(), self.way(need));
        let equal = way.windows(2).flat_map(|pair| self.matching(pair[0]));
        let place = |scalar: &Scalar| scalar.map_columns(|position| self.place(position, way));
        let known = ends.iter().map(|key| is_not_null(key));
        let conjuncts: Vec<Scalar> = equal.chain(known).map(|scalar| place(&scalar)).collect();
        let scan = |(step, &leaf): (usize, &usize)| {
            let image = if step == 0 { Image::Delta } else { Image::New };
            Rel::Scan(Scan { image, ..self.leaves[leaf].clone() })
        };
        let product = way.iter().enumerate().map(scan).reduce(Rel::cross).unwrap_or_else(Rel::unit);
        let side = if need.side == Side::Child { "0" } else { "1" };
        let outputs = [Scalar::text(need.edge.to_string()), Scalar::text(side), place(&hash(&ends))];
        (product.filter_all(conjuncts), outputs)
    }

    /// The join conditions between a leaf and its parent.
    fn matching(&self, child: usize) -> impl Iterator<Item = Scalar> + '_ {
        let edges = self.edges.iter().filter(move |edge| edge.child == child);
        edges.flat_map(|edge| &edge.keys).map(|(child, parent)| {
            let mut equal = Scalar::text("(");
            equal.push(child);
            equal.push_text(" = ");
            equal.push(parent);
            equal.push_text(")");
            equal
        })
    }

    /// The position of a column of the product row among the leaves of a path.
    fn place(&self, position: usize, path: &[usize]) -> usize {
        let (leaf, column) = locate(&self.leaves, position);
        let before = path.iter().take_while(|&&other| other != leaf);
        before.map(|&leaf| self.leaves[leaf].width).sum::<usize>() + column
    }
}

/// Numbers the edges below a leaf, children first.
fn add_edges(leaf: usize, parents: &[Option<usize>], links: &Links<'_>, edges: &mut Vec<Edge>) {
    for child in (0..parents.len()).filter(|&child| parents[child] == Some(leaf)) {
        add_edges(child, parents, links, edges);
        let keys = links.between(child, leaf).into_iter();
        let keys = keys.map(|(child, parent)| (child.value.clone(), parent.value.clone())).collect();
        edges.push(Edge { child, parent: leaf, keys });
    }
}

/// A hash of the key, the same for equal keys. PostgreSQL's hash of a record is computed from its fields' hashes, which
/// agree for all types of an operator family.
fn hash(keys: &[&Scalar]) -> Scalar {
    if keys.is_empty() {
        return Scalar::text("0");
    }
    let mut hash = Scalar::text("pg_catalog.hash_record(ROW(");
    for (position, key) in keys.iter().enumerate() {
        hash.push_text(if position == 0 { "" } else { ", " });
        hash.push(key);
    }
    hash.push_text("))");
    hash
}

/// NULL joins with nothing.
fn is_not_null(key: &Scalar) -> Scalar {
    let mut test = key.clone();
    test.push_text(" IS NOT NULL");
    test
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of leaves without columns; `parents` has each leaf's parent.
    fn tree(parents: &[Option<usize>]) -> Tree {
        let leaves: Vec<Scan> = (0..parents.len()).map(|table| Scan { table, image: Image::New, width: 0 }).collect();
        let links = Links { leaves: &leaves, tables: &[], equal: Vec::new() };
        let mut edges = Vec::new();
        add_edges(0, parents, &links, &mut edges);
        Tree { leaves, edges }
    }

    impl Need {
        fn place(&self) -> (usize, Side) {
            (self.edge, self.side)
        }
    }

    impl Tree {
        /// Whether the path from one leaf to another begins with `step`.
        fn is_behind(&self, from: usize, step: usize, to: usize) -> bool {
            let mut reached = vec![step];
            while let Some(next) = self
                .edges
                .iter()
                .flat_map(|e| [(e.child, e.parent), (e.parent, e.child)])
                .find_map(|(a, b)| (reached.contains(&a) && !reached.contains(&b) && b != from).then_some(b))
            {
                reached.push(next);
            }
            reached.contains(&to)
        }
    }

    /// All trees of `leaves` leaves, the first of which is the root.
    fn trees(leaves: usize) -> Vec<Tree> {
        let mut all = vec![vec![None]];
        for leaf in 1..leaves {
            all = all
                .iter()
                .flat_map(|tree| (0..leaf).map(|parent| [tree.clone(), vec![Some(parent)]].concat()))
                .collect();
        }
        all.iter().map(|parents| tree(parents)).collect()
    }

    #[test]
    fn two_leaves_have_an_edge_in_common() {
        for tree in trees(6) {
            for (one, other) in (0..6).flat_map(|one| (0..one).map(move |other| (one, other))) {
                let (ours, theirs) = (tree.needs(one), tree.needs(other));
                let meets =
                    |need: &Need| theirs.iter().any(|there| (there.edge, there.side.other()) == (need.edge, need.side));
                assert!(ours.iter().any(meets), "{one} and {other} of {tree:?}");
            }
        }
    }

    /// Makes each leaf in turn idle because of one of its neighbours.
    #[test]
    fn an_idle_leaf_meets_all_but_what_references_it() {
        for tree in trees(5) {
            let beside = tree.edges.iter().flat_map(|edge| [(edge.child, edge.parent), (edge.parent, edge.child)]);
            for (idle, child) in beside {
                let proven = Idle::from([(idle, TableSet::from([child]))]);
                let locked: Vec<(usize, Side)> = tree.open_needs(idle, &proven).iter().map(Need::place).collect();
                for other in (0..5).filter(|&other| other != idle) {
                    let behind = tree.is_behind(idle, child, other);
                    let meets = |need: &Need| locked.contains(&(need.edge, need.side.other()));
                    assert!(behind || tree.needs(other).iter().any(meets), "{idle} and {other} of {tree:?}");
                }
            }
        }
    }

    #[test]
    fn a_key_is_of_the_end_that_is_locked() {
        for tree in trees(6) {
            for need in (0..6).flat_map(|leaf| tree.needs(leaf)) {
                let Edge { child, parent, .. } = tree.edges[need.edge];
                let end = if need.side == Side::Child { child } else { parent };
                assert_eq!(need.path.last(), Some(&end), "{tree:?}");
                assert!(
                    need.path.windows(2).all(|pair| tree.edges.iter().any(|edge| pair == [edge.child, edge.parent]))
                );
            }
        }
    }

    #[test]
    fn the_way_to_an_edge_is_locked_before_it() {
        for tree in trees(6) {
            for need in (0..6).flat_map(|leaf| tree.needs(leaf)) {
                let on_the_way = (0..tree.edges.len()).filter(|&edge| tree.is_on(edge, &need.path));
                assert!(on_the_way.into_iter().all(|edge| edge < need.edge), "{tree:?}");
            }
        }
    }
}
