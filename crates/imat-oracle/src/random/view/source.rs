//! The FROM clause: one to four inputs and their join conditions.

use super::expr;
use super::{Expr, Gen, Lower, Query};
use crate::pg::ident;
use crate::random::dml::IMAT;
use crate::random::schema::{Column, Role, Shape};
use crate::random::values::Ty;

/// A plain view that maintained ones read.
#[derive(Debug, Clone)]
pub struct Base {
    pub name: String,
    /// The text between its name and AS.
    pub options: &'static str,
    pub query: Query,
}

/// A column that expressions may use.
#[derive(Debug, Clone)]
pub struct Field {
    pub sql: String,
    pub ty: Ty,
    pub role: Role,
}

/// One input of a join.
#[derive(Debug, Clone)]
pub struct Input {
    pub sql: String,
    pub fields: Vec<Field>,
    /// The table's index, whether it has a primary key, and the table that its foreign key references.
    table: Option<usize>,
    key_name: Option<String>,
    pub unique_id: bool,
}

/// A FROM clause with its fields, and its conditions for WHERE.
pub struct From {
    pub sql: String,
    pub fields: Vec<Field>,
    pub conditions: Vec<String>,
    /// The inputs whose id is unique, as ranges of fields.
    pub unique: Vec<(usize, usize)>,
}

fn field(alias: &str, column: &Column) -> Field {
    Field { sql: format!("{alias}.{}", ident(&column.name)), ty: column.ty, role: column.role }
}

/// A base table under a fresh alias.
pub fn table(g: &mut Gen, at: usize) -> Input {
    let alias = g.alias();
    g.factors += 1;
    let schema = g.schema;
    let t = &schema.tables[at];
    let mut name = ident(&t.name);
    let mut unique_id = t.primary_key;
    if t.shape != Shape::Plain && g.dice.chance(15) {
        // A leaf or a child by its own name, or of an inheritance hierarchy only the parent.
        let places: Vec<_> = schema.places.iter().filter(|p| p.table == at).collect();
        let place = *g.dice.pick(&places);
        let only = t.shape == Shape::Inherited && place.root;
        name = format!("{}{}", if only { "ONLY " } else { "" }, ident(&place.name));
        unique_id = false;
    }
    Input {
        sql: format!("{name} AS {alias}"),
        fields: t.columns.iter().map(|c| field(&alias, c)).collect(),
        table: Some(at),
        key_name: Some(ident(&t.key().name)),
        unique_id,
    }
}

/// Fields of a query under an alias, whose columns are called c1, c2, ...
fn named(alias: &str, query: &Query) -> (String, Vec<Field>) {
    let names: Vec<String> = (1..=query.types.len()).map(|i| format!("c{i}")).collect();
    let read = |name: &String, ty: &Ty| match ty {
        Ty::List => (format!("({alias}.{name}::text)"), Ty::Text),
        ty => (format!("{alias}.{name}"), *ty),
    };
    let read = query.types.iter().zip(&names).map(|(ty, name)| read(name, ty));
    let fields =
        read.enumerate().map(|(i, (sql, ty))| Field { sql, ty, role: if i == 0 { Role::Key } else { Role::Value } });
    (format!("{alias}({})", names.join(", ")), fields.collect())
}

/// A query in parentheses as an input.
pub fn derived(g: &mut Gen, query: &Query) -> Input {
    let alias = g.alias();
    let (called, fields) = named(&alias, query);
    Input { sql: format!("({}) AS {called}", query.sql), fields, table: None, key_name: None, unique_id: false }
}

/// A plain view as an input.
fn base(g: &mut Gen, base: &Base) -> Input {
    let alias = g.alias();
    g.factors += 1;
    let (called, fields) = named(&alias, &base.query);
    Input { sql: format!("{} AS {called}", ident(&base.name)), fields, table: None, key_name: None, unique_id: false }
}

/// A maintained table as an input.
fn maintained(g: &mut Gen, lower: &Lower) -> Input {
    let alias = g.alias();
    g.factors += lower.factors;
    let (called, fields) = named(&alias, &lower.query);
    Input {
        sql: format!("{IMAT}.{} AS {called}", ident(&lower.name)),
        fields,
        table: None,
        key_name: None,
        unique_id: false,
    }
}

/// Usually a table; sometimes a plain view, a maintained table, a subquery or constant rows.
pub fn any(g: &mut Gen) -> Input {
    let (bases, maintained) = (!g.bases.is_empty(), !g.maintained.is_empty());
    match g.dice.weighted(&[(80, 0), (10 * u32::from(bases), 1), (6, 2), (3, 3), (9 * u32::from(maintained), 4)]) {
        4 => {
            let chosen = g.dice.pick(&g.maintained).clone();
            self::maintained(g, &chosen)
        }
        0 => {
            let at = g.dice.index(g.schema.tables.len());
            table(g, at)
        }
        1 => {
            let bases = g.bases;
            let chosen = g.dice.pick(bases);
            base(g, chosen)
        }
        2 => {
            let query =
                if g.dice.chance(70) { super::grouped::simple_rows(g) } else { super::grouped::simple_groups(g) };
            derived(g, &query)
        }
        _ => {
            let values = "VALUES (1, 'one'), (2, 'two'), (2, 'zwei'), (NULL, 'none')";
            derived(g, &Query::of_rows(values.into(), vec![Ty::Int, Ty::Text]))
        }
    }
}

/// A table each of whose rows references rows of another table twice, by its primary key.
pub fn twice(g: &mut Gen) -> Option<From> {
    let keyed: Vec<usize> = (0..g.schema.tables.len()).filter(|&at| g.schema.tables[at].primary_key).collect();
    if keyed.is_empty() {
        return None;
    }
    let (at, other) = (g.dice.index(g.schema.tables.len()), *g.dice.pick(&keyed));
    let (fact, one, two) = (table(g, at), table(g, other), table(g, other));
    let ends: Vec<String> =
        fact.fields.iter().filter(|f| f.ty == Ty::Int && f.role != Role::Id).map(|f| f.sql.clone()).collect();
    let mut sql = fact.sql.clone();
    let mut conditions = Vec::new();
    let comma = g.dice.chance(50);
    for keyed in [&one, &two] {
        let equal = format!("{} = {}", keyed.fields[0].sql, g.dice.pick(&ends));
        if comma {
            sql += &format!(", {}", keyed.sql);
            conditions.push(equal);
        } else {
            sql += &format!("\n  JOIN {} ON {equal}", keyed.sql);
        }
    }
    let fields = [fact.fields, one.fields, two.fields].concat();
    Some(From { sql, fields, conditions, unique: Vec::new() })
}

/// The same, where a query in FROM computes these of it, as columns of `below`.
pub fn below(from: From, computed: &[(&str, &str)]) -> From {
    let fields = from.fields.iter().enumerate().map(|(at, field)| format!("{} AS f{at}", field.sql));
    let list: Vec<String> = fields.chain(computed.iter().map(|(name, sql)| format!("{sql} AS {name}"))).collect();
    let filter = match from.conditions.as_slice() {
        [] => String::new(),
        all => format!(" WHERE ({})", all.join(") AND (")),
    };
    let sql = format!("(SELECT {} FROM {}{filter}) AS below", list.join(", "), from.sql);
    let outer = |(at, field): (usize, Field)| Field { sql: format!("below.f{at}"), ..field };
    let fields = from.fields.into_iter().enumerate().map(outer).collect();
    From { sql, fields, conditions: Vec::new(), unique: Vec::new() }
}

/// A maintained table without groups, alone, or joined with itself, another such table, or any other input.
pub fn over_rows(g: &mut Gen) -> From {
    let n = g.dice.weighted(&[(5, 1), (4, 2), (1, 3)]);
    let mut inputs = Vec::new();
    while inputs.len() < n {
        let next = if inputs.is_empty() || g.dice.chance(40) {
            let chosen = g.dice.pick(&g.rows).clone();
            maintained(g, &chosen)
        } else {
            any(g)
        };
        inputs.push(next);
    }
    join(g, inputs)
}

/// A FROM clause of `n` inputs joined by inner joins.
pub fn inner(g: &mut Gen, n: usize) -> From {
    let first = any(g);
    let mut inputs = vec![first];
    while inputs.len() < n {
        // Sometimes the same table again: a self-join.
        let next = match inputs[0].table {
            Some(at) if g.dice.chance(20) => table(g, at),
            _ => any(g),
        };
        inputs.push(next);
    }
    join(g, inputs)
}

fn join(g: &mut Gen, inputs: Vec<Input>) -> From {
    let shared = inputs[0].key_name.clone().filter(|k| inputs.iter().all(|i| i.key_name.as_ref() == Some(k)));
    let using = shared.filter(|_| inputs.len() > 1 && g.dice.chance(20));
    let comma = inputs.len() > 1 && using.is_none() && g.dice.chance(20);
    let mut sql = inputs[0].sql.clone();
    let mut conditions = Vec::new();
    for (i, right) in inputs.iter().enumerate().skip(1) {
        let left = &inputs[g.dice.index(i)];
        match &using {
            Some(key) => sql += &format!("\n  JOIN {} USING ({key})", right.sql),
            None if comma => {
                sql += &format!(", {}", right.sql);
                conditions.push(condition(g, left, right));
            }
            None if inputs.len() == 2 && g.dice.chance(7) => sql += &format!("\n  CROSS JOIN {}", right.sql),
            None => {
                let on = condition(g, left, right);
                let inner = if g.dice.chance(30) { "INNER JOIN" } else { "JOIN" };
                sql += &format!("\n  {inner} {} ON {on}", right.sql);
            }
        }
    }
    let (mut fields, mut unique) = (Vec::new(), Vec::new());
    for input in inputs {
        let start = fields.len();
        fields.extend(input.fields);
        if input.unique_id {
            unique.push((start, fields.len()));
        }
    }
    From { sql, fields, conditions, unique }
}

/// The join condition of two inputs: usually an equality, possibly with more.
pub fn condition(g: &mut Gen, left: &Input, right: &Input) -> String {
    let find = |input: &Input, role: Role| input.fields.iter().find(|f| f.role == role && f.ty == Ty::Int).cloned();
    let (foreign, id) = (find(right, Role::Foreign), find(left, Role::Id));
    let mut on = match (foreign, id) {
        (Some(f), Some(id)) if g.dice.chance(60) => format!("{} = {}", f.sql, id.sql),
        _ => equality(g, left, right),
    };
    let fields: Vec<Field> = left.fields.iter().chain(&right.fields).cloned().collect();
    if g.dice.chance(12) {
        on = within_or(g, &on, &fields);
    }
    if g.dice.chance(15) {
        on = format!("{on} AND {}", expr::predicate(g, &fields, 1));
    }
    on
}

/// A condition that all branches of an OR contain, sometimes with the sides of an equality exchanged; or that all
/// branches but one contain.
fn within_or(g: &mut Gen, on: &str, fields: &[Field]) -> String {
    let exchanged = on.split_once(" = ").map(|(x, y)| format!("{y} = {x}")).filter(|_| g.dice.chance(50));
    let mut branches = vec![format!("{on} AND {}", expr::predicate(g, fields, 1))];
    branches.push(match exchanged {
        _ if g.dice.chance(15) => expr::predicate(g, fields, 1),
        Some(exchanged) => format!("{} AND {exchanged}", expr::predicate(g, fields, 1)),
        None => on.to_owned(),
    });
    format!("({})", branches.join(" OR "))
}

fn equality(g: &mut Gen, left: &Input, right: &Input) -> String {
    let ints = |input: &Input| -> Vec<Expr> {
        input
            .fields
            .iter()
            .filter(|f| f.ty == Ty::Int && f.role != Role::Id)
            .map(|f| Expr { sql: f.sql.clone(), ty: f.ty })
            .collect()
    };
    let keys =
        |input: &Input| input.fields.iter().find(|f| f.role == Role::Key && f.ty == Ty::Int).map(|f| f.sql.clone());
    let (a, b) = (ints(left), ints(right));
    let key_pair = keys(left).zip(keys(right));
    match (key_pair, a.is_empty() || b.is_empty()) {
        (Some((x, y)), _) if g.dice.chance(70) => format!("{x} = {y}"),
        (Some((x, y)), _) if g.dice.chance(25) => {
            let op = g.dice.pick(&["<", ">", "<=", "<>", "IS NOT DISTINCT FROM", "+ 1 ="]);
            format!("{x} {op} {y}")
        }
        (_, false) => {
            let (x, y) = (g.dice.pick(&a).sql.clone(), g.dice.pick(&b).sql.clone());
            if g.dice.chance(20) { format!("{x} % 3 = {y} % 3") } else { format!("{x} = {y}") }
        }
        (Some((x, y)), _) => format!("{x} = {y}"),
        (None, _) => {
            let (x, y) = (&left.fields[0].sql, &right.fields[0].sql);
            format!("{x}::text = {y}::text")
        }
    }
}
