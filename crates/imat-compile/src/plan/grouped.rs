//! Grouped views: a state row per group.

use std::collections::HashSet;

use crate::error::Unsupported;
use crate::facts::{Class, Type};
use crate::lower::Core;
use crate::plan::aggregate::{Call, Components, Scale, decompose};
use crate::plan::component::{Component, Kind};
use crate::plan::implied::{Implied, implied};
use crate::plan::source::{self, Source};
use crate::plan::{Body, Key, Options, Plan, Reading, Signs, Size, StateColumn, Strategy, Types, hidden_name, nulls};
use crate::rel::TableSet;
use crate::scalar::Scalar;
use crate::view::{Aggregate, Grouping, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouped {
    pub(crate) source: Source,
    pub(crate) keys: Vec<GroupKey>,
    pub(crate) components: Vec<Stored>,
    /// The component with the number of the group's rows.
    pub(crate) rows: usize,
    /// The hidden flag with which a delta requests that a group is recomputed.
    pub(crate) dirty: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupKey {
    pub expr: Scalar,
    pub column: usize,
    pub nullable: bool,
    pub equality: String,
    /// Whether it is a numeric whose values can have different scales.
    pub scaled: bool,
    /// The bounds that the key implies for a column.
    pub implied: Option<Implied>,
}

/// A component and its columns in the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub component: Component,
    pub column: usize,
    pub retraction: Option<usize>,
}

impl Grouped {
    pub(crate) fn key_columns(&self) -> Vec<usize> {
        self.keys.iter().map(|key| key.column).collect()
    }

    pub(crate) fn count_column(&self) -> usize {
        self.components[self.rows].column
    }

    /// The signs of the view's delta, given those of the tables' deltas.
    pub(crate) fn signs(&self, changed: &TableSet, signs: Signs, size: Size) -> Signs {
        match size {
            _ if !self.source.is_one_term(changed) => Signs::Net,
            Size::One(fate) => fate.signs(),
            Size::Small | Size::Large if signs == Signs::Net && self.source.is_summed(changed) => Signs::Statement,
            Size::Small | Size::Large => signs,
        }
    }

    /// Whether a delta with these signs can require that a group is recomputed.
    pub(crate) fn recomputes(&self, signs: Signs) -> bool {
        self.components.iter().any(|stored| match (stored.component.kind, signs) {
            (Kind::Holistic, _) => true,
            (Kind::Count, _) | (_, Signs::Additions) => false,
            (Kind::Sum, _) => stored.component.can_absorb(),
            (Kind::InexactSum | Kind::Min | Kind::Max, _) => true,
        })
    }
}

/// Chooses the state's key.
///
/// If values are equal but not identical, the state keeps the first one, which may later be removed while the others
/// remain. That is right only for a numeric that is shown as it is, where only the value counts.
fn choose_key(view: &View, types: &[Type], nullable: bool, options: Options) -> Result<Key, Unsupported> {
    if types.is_empty() {
        return Ok(Key::Single);
    }
    for (key, ty) in types.iter().enumerate() {
        // Deltas are applied in key order, so that two sessions can't deadlock on groups.
        if !ty.btree {
            return Err(Unsupported::new("GROUP BY key of a type without an order"));
        }
        let shown = || view.outputs.iter().all(|output| shows_only(&output.expr, key));
        let only_value_counts = || ty.class == Class::Numeric && shown() && !in_having(view, key);
        if !ty.identity && !only_value_counts() {
            return Err(Unsupported::new("GROUP BY key of a type with equal values that are not identical"));
        }
    }
    let nulls_ok = !nullable || options.server_version >= 150_000;
    let columns = nulls_ok && types.len() <= MOST_INDEX_COLUMNS;
    Ok(if columns && fit_an_index(types) { Key::Columns { nulls_not_distinct: nullable } } else { Key::Image })
}

/// `INDEX_MAX_KEYS`.
const MOST_INDEX_COLUMNS: usize = 32;

/// `BTMaxItemSize`, a third of a page, without the entry's header.
const MOST_INDEX_BYTES: u32 = 2704 - 16;

/// Whether a btree entry has room for the longest values of these types, even if they can't be compressed.
fn fit_an_index(types: &[Type]) -> bool {
    let aligned = |ty: &Type| ty.most_bytes.and_then(|bytes| bytes.checked_next_multiple_of(8));
    let sum = types.iter().try_fold(0, |sum: u32, ty| sum.checked_add(aligned(ty)?));
    sum.is_some_and(|sum| sum <= MOST_INDEX_BYTES)
}

/// Whether an output is the key itself or does not use it.
fn shows_only(output: &Scalar, key: usize) -> bool {
    output.as_column() == Some(key) || output.columns().all(|column| column != key)
}

fn in_having(view: &View, key: usize) -> bool {
    let having = view.grouping.as_ref().and_then(|grouping| grouping.having.as_ref());
    having.is_some_and(|having| having.columns().any(|column| column == key))
}

/// Decomposes every aggregate call into components; the returned scalars are over components.
fn aggregates(
    view: &View,
    grouping: &Grouping,
    types: &Types,
    scale: Scale,
    components: &mut Components,
) -> Vec<Scalar> {
    let mut args = types.args.iter();
    grouping
        .aggregates
        .iter()
        .zip(&types.aggregates)
        .map(|(aggregate, result)| {
            let arg_types: Vec<&Type> = aggregate.args.iter().filter_map(|_| args.next()).collect();
            let call = Call {
                aggregate,
                arg: arg_types.first().copied().filter(|_| arg_types.len() == 1),
                result,
                not_null: aggregate.args.first().is_some_and(|arg| !nulls::nullable(view, arg)),
                keyed: !grouping.keys.is_empty(),
                scale,
            };
            decompose(&call, components)
        })
        .collect()
}

/// The state's columns: first one for each output that is a key or a component, in the order of the outputs, then the
/// hidden ones. If there are no hidden columns, the state is the result.
struct Layout {
    columns: Vec<StateColumn>,
    /// The state columns of the keys, then of the components.
    positions: Vec<usize>,
}

fn layout(outputs: &[Scalar], names: &[&str], fields: &[String]) -> Layout {
    let mut positions: Vec<Option<usize>> = vec![None; fields.len()];
    let mut columns = Vec::new();
    for (output, name) in outputs.iter().zip(names) {
        if let Some(field) = output.as_column()
            && positions[field].is_none()
        {
            positions[field] = Some(columns.len());
            columns.push(StateColumn { name: (*name).to_owned(), ty: fields[field].clone() });
        }
    }
    let positions = positions
        .into_iter()
        .enumerate()
        .map(|(field, position)| {
            position.unwrap_or_else(|| {
                let name = hidden_name(names, &(field + 1).to_string());
                columns.push(StateColumn { name, ty: fields[field].clone() });
                columns.len() - 1
            })
        })
        .collect();
    Layout { columns, positions }
}

/// In a state that is itself the result, sums need only be equal in value. Otherwise expressions read them, so they are
/// made identical.
pub(crate) fn plan(
    view: &View,
    grouping: &Grouping,
    core: Core,
    types: &Types,
    options: Options,
) -> Result<Plan, Unsupported> {
    let direct = plan_with(view, grouping, core.clone(), types, options, Scale::Value)?;
    match direct.reading {
        None => Ok(direct),
        Some(_) => plan_with(view, grouping, core, types, options, Scale::Exact),
    }
}

fn plan_with(
    view: &View,
    grouping: &Grouping,
    core: Core,
    types: &Types,
    options: Options,
    scale: Scale,
) -> Result<Plan, Unsupported> {
    let any_nullable = grouping.keys.iter().any(|key| nulls::nullable(view, key));
    let key = choose_key(view, &types.keys, any_nullable, options)?;
    let mut components = Components::default();
    let rows = components.rows().as_column().unwrap_or_default();
    let values = aggregates(view, grouping, types, scale, &mut components);
    let mut components = components.list;

    // The fields of a group row are the keys and the components.
    let nkeys = grouping.keys.len();
    let field = |position: usize| match position.checked_sub(nkeys) {
        None => Scalar::column(position),
        Some(aggregate) => values[aggregate].map_columns(|component| nkeys + component),
    };
    let outputs: Vec<Scalar> = view.outputs.iter().map(|output| output.expr.substitute(field)).collect();
    let having = grouping.having.as_ref().map(|having| having.substitute(field));
    let names: Vec<&str> = view.outputs.iter().map(|output| output.name.as_str()).collect();
    let key_types = types.keys.iter().map(Type::column_type);
    let fields: Vec<String> = key_types.chain(components.iter().map(|component| component.ty.clone())).collect();
    let Layout { mut columns, positions } = layout(&outputs, &names, &fields);

    let holistic = holistic_names(&grouping.aggregates, &components);
    let mut keys = keys(view, grouping, types, &positions)?;
    let args = components.iter_mut().flat_map(|component| component.arg.iter_mut().chain(&mut component.filter));
    let core = source::pulled_up(core, keys.iter_mut().map(|key| &mut key.expr).chain(args))?;
    let args = components.iter().flat_map(|component| component.arg.iter().chain(&component.filter));
    let used: Vec<&Scalar> = keys.iter().map(|key| &key.expr).chain(args).collect();
    let source = Source::new(core, &used)?;
    let stored = store(components, &positions[nkeys..], &names, &mut columns);
    let needs_flag = stored.iter().any(|stored| !stored.component.kind.invertible());
    let dirty = needs_flag.then(|| {
        columns.push(StateColumn { name: hidden_name(&names, "dirty"), ty: "boolean".into() });
        columns.len() - 1
    });
    for key in &mut keys {
        key.implied = implied(&key.expr, |column| source.column(column).and_then(|(_, column)| column.hash));
    }
    let direct = having.is_none()
        && columns.len() == outputs.len()
        && key != Key::Single
        && outputs.iter().zip(&view.outputs).enumerate().all(|(position, (expr, _))| {
            expr.as_column().is_some_and(|field| positions[field] == position)
                && types.outputs[position].column_type() == columns[position].ty
        });
    let reading = (!direct).then(|| Reading {
        outputs: view
            .outputs
            .iter()
            .zip(&outputs)
            .zip(&types.outputs)
            .map(|((output, expr), ty)| {
                (output.name.clone(), ty.column_type(), expr.map_columns(|field| positions[field]))
            })
            .collect(),
        having: having.map(|having| having.map_columns(|field| positions[field])),
        multiplicity: None,
    });
    let strategy = match holistic.is_empty() {
        true => Strategy::Arithmetic,
        false => Strategy::Recompute { aggregates: holistic },
    };
    let tables = source.tables()?;
    let body = Grouped { source, keys, components: stored, rows, dirty };
    Ok(Plan { strategy, tables, columns, key, reading, body: Body::Grouped(Box::new(body)) })
}

fn keys(view: &View, grouping: &Grouping, types: &Types, positions: &[usize]) -> Result<Vec<GroupKey>, Unsupported> {
    grouping
        .keys
        .iter()
        .zip(&types.keys)
        .zip(positions)
        .map(|((expr, ty), &column)| {
            let equality =
                ty.equality.clone().ok_or_else(|| Unsupported::new("GROUP BY key of a type without equality"))?;
            Ok(GroupKey {
                expr: expr.clone(),
                column,
                nullable: nulls::nullable(view, expr),
                equality,
                scaled: !ty.identity,
                implied: None,
            })
        })
        .collect()
}

fn holistic_names(aggregates: &[Aggregate], components: &[Component]) -> Vec<String> {
    let calls: HashSet<&Scalar> = components
        .iter()
        .filter(|component| component.kind == Kind::Holistic)
        .filter_map(|component| component.arg.as_ref())
        .collect();
    let mut names: Vec<String> = aggregates
        .iter()
        .filter(|aggregate| calls.contains(&aggregate.call))
        .map(|aggregate| match aggregate.distinct {
            true => format!("{}(DISTINCT)", aggregate.name),
            false => aggregate.name.clone(),
        })
        .collect();
    names.dedup();
    names
}

fn store(
    components: Vec<Component>,
    positions: &[usize],
    names: &[&str],
    columns: &mut Vec<StateColumn>,
) -> Vec<Stored> {
    components
        .into_iter()
        .zip(positions)
        .enumerate()
        .map(|(number, (component, &column))| {
            let retraction = component.kind.has_retraction().then(|| {
                let name = hidden_name(names, &format!("retracted_{}", number + 1));
                columns.push(StateColumn { name, ty: component.ty.clone() });
                columns.len() - 1
            });
            Stored { component, column, retraction }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_bytes(most_bytes: Option<u32>) -> Type {
        Type {
            sql: String::new(),
            collation: None,
            class: Class::Other,
            identity: true,
            ordered: true,
            equality: None,
            btree: true,
            hash: true,
            most_bytes,
        }
    }

    #[test]
    fn keys_share_the_room_of_an_entry() {
        let fit = |sizes: &[u32]| fit_an_index(&sizes.iter().map(|&size| of_bytes(Some(size))).collect::<Vec<_>>());
        assert!(fit(&[]) && fit(&[2688]) && fit(&[4; 32]) && fit(&[2681, 0]));
        assert!(!fit(&[2689]) && !fit(&[604; 5]) && !fit(&[2681, 1]) && !fit(&[u32::MAX, 8]));
        assert!(!fit_an_index(&[of_bytes(Some(4)), of_bytes(None)]));
    }
}
