//! Statements that create and drop what a maintained view consists of.

use crate::name::{QName, ident, literal};
use crate::plan::Plan;
use crate::sql::Sql;
use crate::sql::builder::list;

/// Keeps a definition as a view: PostgreSQL then tracks what it depends on and renames it.
pub fn create_definition(name: &QName, columns: &[String], query: &str) -> Sql {
    let columns = list(columns.iter().map(|column| ident(column)));
    Sql::new(format!("CREATE VIEW {name} ({columns}) AS {}", query.trim_end().trim_end_matches(';')))
}

/// A user's query as a view of the session, so that PostgreSQL resolves its names. The caller
/// made sure that the text is one SELECT.
pub fn create_temporary_view(name: &str, query: &str) -> Sql {
    Sql::new(format!("CREATE TEMPORARY VIEW {} AS {}", ident(name), query.trim_end().trim_end_matches(';')))
}

pub fn drop_temporary_view(name: &str) -> Sql {
    Sql::new(format!("DROP VIEW pg_temp.{}", ident(name)))
}

/// The view that users read, where the state is not itself the result. The state has groups that HAVING
/// leaves out. The view is then a security barrier, so that no function of a reader's sees their rows.
pub fn create_result(name: &QName, plan: &Plan, state: &QName) -> Option<Sql> {
    let filters = plan.reading.as_ref().is_some_and(|reading| reading.having.is_some());
    let barrier = if filters { " WITH (security_barrier)" } else { "" };
    plan.reading(state).map(|select| Sql::new(format!("CREATE VIEW {name}{barrier} AS {select}")))
}

pub fn drop_view(name: &QName, cascade: bool) -> Sql {
    Sql::new(format!("DROP VIEW {name}{}", if cascade { " CASCADE" } else { "" }))
}

pub fn drop_table(name: &QName, cascade: bool) -> Sql {
    Sql::new(format!("DROP TABLE {name}{}", if cascade { " CASCADE" } else { "" }))
}

pub fn create_schema(name: &str, owner: &str) -> Sql {
    Sql::new(format!("CREATE SCHEMA {} AUTHORIZATION {}", ident(name), ident(owner)))
}

pub fn drop_schema(name: &str) -> Sql {
    Sql::new(format!("DROP SCHEMA {}", ident(name)))
}

/// Moves a relation to its final schema and then gives it its final name. A relation has a type, and another relation's
/// array type may already have that name: RENAME gives the array type a new name, SET SCHEMA would fail.
pub fn move_relation(from: &QName, to: &QName) -> [Sql; 2] {
    let moved = QName::new(to.schema.as_str(), from.name.as_str());
    [
        Sql::new(format!("ALTER TABLE {from} SET SCHEMA {}", ident(&to.schema))),
        Sql::new(format!("ALTER TABLE {moved} RENAME TO {}", ident(&to.name))),
    ]
}

/// Raises the fillfactor of a state that was just filled. PostgreSQL prunes a page when less of it is free than the
/// fillfactor asks for. The rows that filled the state left more free, so a page is pruned once in many updates.
pub fn leave_less_room(state: &QName) -> Sql {
    Sql::new(format!("ALTER TABLE {state} SET (fillfactor = 90)"))
}

pub fn rename_index(name: &QName, to: &str) -> Sql {
    Sql::new(format!("ALTER INDEX {name} RENAME TO {}", ident(to)))
}

pub fn change_owner(name: &QName, owner: &str) -> Sql {
    Sql::new(format!("ALTER TABLE {name} OWNER TO {}", ident(owner)))
}

/// Says how a publication identifies a changed row: by a unique index, or by all of its columns.
pub fn identify(table: &QName, index: Option<&str>) -> Sql {
    let by = index.map_or("FULL".to_owned(), |index| format!("USING INDEX {}", ident(index)));
    Sql::new(format!("ALTER TABLE {table} REPLICA IDENTITY {by}"))
}

pub fn analyze(name: &QName) -> Sql {
    Sql::new(format!("ANALYZE {name}"))
}

/// Lets a role, or everybody, read a relation or one column of it.
pub fn grant_select(name: &QName, column: Option<&str>, role: Option<&str>, grantable: bool) -> Sql {
    let (column, role) =
        (column.map(|column| format!(" ({})", ident(column))), role.map_or("PUBLIC".to_owned(), ident));
    let option = if grantable { " WITH GRANT OPTION" } else { "" };
    Sql::new(format!("GRANT SELECT{} ON {name} TO {role}{option}", column.unwrap_or_default()))
}

pub fn revoke_all(name: &QName, role: Option<&str>) -> Sql {
    Sql::new(format!("REVOKE ALL ON {name} FROM {}", role.map_or("PUBLIC".to_owned(), ident)))
}

pub fn comment(kind: &'static str, name: &QName, text: &str) -> Sql {
    Sql::new(format!("COMMENT ON {kind} {name} IS {}", literal(text)))
}

pub fn comment_on_column(relation: &QName, column: &str, text: &str) -> Sql {
    Sql::new(format!("COMMENT ON COLUMN {relation}.{} IS {}", ident(column), literal(text)))
}

/// The names of the statement triggers on a base table.
pub const TRIGGERS: [&str; 5] = ["imat_open", "imat_insert", "imat_update", "imat_delete", "imat_truncate"];

/// The name of the row trigger, which captures the changes of replication workers only.
pub const REPLICA: &str = "imat_replica";

/// The name of the trigger on a maintained table, its state and the view over it.
pub const GUARD: &str = "imat_guard";

/// Creates the triggers that capture a relation's changes. A partitioned table has no row trigger, since PostgreSQL would
/// copy it to every partition; the partitions have their own.
pub fn create_triggers(relation: &QName, partitioned: bool) -> Vec<Sql> {
    let capture = "FOR EACH STATEMENT EXECUTE FUNCTION imat_catalog.capture()";
    let statements = vec![
        format!(
            "CREATE TRIGGER imat_open BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {relation} \
             FOR EACH STATEMENT EXECUTE FUNCTION imat_catalog.open()"
        ),
        format!("CREATE TRIGGER imat_insert AFTER INSERT ON {relation} REFERENCING NEW TABLE AS imat_new {capture}"),
        format!(
            "CREATE TRIGGER imat_update AFTER UPDATE ON {relation} \
             REFERENCING OLD TABLE AS imat_old NEW TABLE AS imat_new {capture}"
        ),
        format!("CREATE TRIGGER imat_delete AFTER DELETE ON {relation} REFERENCING OLD TABLE AS imat_old {capture}"),
        format!("CREATE TRIGGER imat_truncate AFTER TRUNCATE ON {relation} {capture}"),
    ];
    let mut statements: Vec<Sql> = statements.into_iter().map(Sql::new).collect();
    if !partitioned {
        statements.push(Sql::new(format!(
            "CREATE TRIGGER {REPLICA} AFTER INSERT OR UPDATE OR DELETE ON {relation} \
             FOR EACH ROW EXECUTE FUNCTION imat_catalog.replica()"
        )));
    }
    statements
}

/// Makes a trigger of a new table fire even if session_replication_role is replica.
fn enable_trigger(relation: &QName, trigger: &str) -> Sql {
    Sql::new(format!("ALTER TABLE {relation} ENABLE ALWAYS TRIGGER {}", ident(trigger)))
}

pub fn drop_trigger(relation: &QName, trigger: &str) -> Sql {
    Sql::new(format!("DROP TRIGGER {} ON {relation}", ident(trigger)))
}

/// The name of the trigger that ties a state to its definition.
pub const MARK: &str = "imat_definition";

/// Ties a state to its definition by a trigger: a dump of the state's schema contains it, PostgreSQL follows a rename of the
/// definition, and does not drop the definition alone. The trigger never fires, since [`GUARD`] comes first.
pub fn create_mark(state: &QName, definition: &QName, facts: &[String]) -> [Sql; 2] {
    let facts = list(facts.iter().map(|fact| literal(fact)));
    [
        Sql::new(format!(
            "CREATE TRIGGER {MARK} AFTER TRUNCATE ON {state} FOR EACH STATEMENT \
             WHEN ({}::pg_catalog.regclass IS NOT NULL) EXECUTE FUNCTION imat_catalog.definition({facts})",
            literal(&definition.to_string())
        )),
        enable_trigger(state, MARK),
    ]
}

/// Refuses direct changes of a table, or of the view over it.
pub fn create_guard(name: &QName, view: bool) -> Vec<Sql> {
    let when = match view {
        true => format!("INSTEAD OF INSERT OR UPDATE OR DELETE ON {name} FOR EACH ROW"),
        false => format!("BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {name} FOR EACH STATEMENT"),
    };
    let create = Sql::new(format!("CREATE TRIGGER {GUARD} {when} EXECUTE FUNCTION imat_catalog.guard()"));
    // A trigger of a view can't be disabled.
    std::iter::once(create).chain((!view).then(|| enable_trigger(name, GUARD))).collect()
}

/// Makes every session that plans a query of a state call the library: the planner evaluates the expressions of a table's
/// statistics.
pub fn create_watch(name: &str, state: &QName) -> Sql {
    let name = QName::new("imat_state", name);
    Sql::new(format!("CREATE STATISTICS {name} ON (imat_catalog.watched()) FROM {state}"))
}

/// An index of the materialized view on the maintained table, as far as it is of use there.
pub struct Index {
    pub unique: bool,
    pub name: String,
    /// From the access method on, as `pg_get_indexdef` gives it.
    pub definition: String,
}

pub fn create_index(table: &QName, index: &Index) -> Sql {
    let unique = if index.unique { "UNIQUE " } else { "" };
    Sql::new(format!("CREATE {unique}INDEX {} ON {table} USING {}", ident(&index.name), index.definition))
}

/// The rows in which a maintained table and its query differ, as (difference, times, row).
/// Rows are compared by image, so that types without equality can be compared too. Floats are compared by
/// the interval that they are in. Close values can be on two sides of a border, so only those rows count
/// that also differ by intervals shifted by half.
pub fn differences(name: &QName, definition: &QName, columns: &[(String, Compare)]) -> Sql {
    let image = |shift: f64| {
        let values = list(columns.iter().map(|(column, compare)| compare.value(&ident(column), shift)));
        format!("imat_catalog.row_image(ROW({values}))")
    };
    let side = |relation: &QName, sign: i32| {
        let row = "pg_catalog.to_jsonb(v.*) AS \"row\"";
        format!("SELECT {sign} AS w, {row}, {} AS image, {} AS shifted FROM {relation} AS v", image(0.0), image(0.5))
    };
    let sides = format!("{} UNION ALL {}", side(definition, 1), side(name, -1));
    Sql::new(format!(
        "SELECT CASE WHEN sum(w) > 0 THEN 'missing' ELSE 'extra' END, abs(sum(w))::bigint, (array_agg(\"row\"))[1] \
         FROM (SELECT b.*, sum(w) OVER (PARTITION BY image) AS left_over FROM ({sides}) AS b) AS u \
         WHERE left_over <> 0 GROUP BY shifted HAVING sum(w) <> 0"
    ))
}

/// When two values of a column count as the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    Image,
    /// Equal numerics can have different scales.
    Numeric,
    /// To four digits: sums of floats depend on the order of summation.
    Real,
    /// To eight digits.
    Double,
}

impl Compare {
    /// An expression that is equal for two values of `v.column` that count as the same.
    fn value(self, column: &str, shift: f64) -> String {
        let interval = |per_unit: &str| {
            let value = format!("v.{column}::double precision");
            let place = format!("floor(ln(abs({value})) * {per_unit} + {shift})");
            format!("CASE WHEN abs({value}) < 1e-9 THEN '0' ELSE sign({value}) || ' ' || {place} END")
        };
        match self {
            Compare::Image => format!("v.{column}"),
            Compare::Numeric => format!("pg_catalog.trim_scale(v.{column})"),
            Compare::Real => interval("1e4"),
            Compare::Double => interval("1e8"),
        }
    }
}
