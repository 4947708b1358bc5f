//! The errors of the extension: what is refused, why, and what to do instead.

use imat_compile::error::{Error, SqlState};

mod clock;
mod reading;

pub use clock::{cast_below, reads_clock, session_value};
pub use reading::{not_adopted, older_than_content, read_during_change, read_too_early};

const UNSUPPORTED: SqlState = SqlState::FEATURE_NOT_SUPPORTED;

/// A name that does not exist.
pub fn missing(name: &str) -> Error {
    let hint = if is_query(name) {
        "To maintain a query, give it a name of its own: create_imat('name', query => 'SELECT ...')."
    } else if needs_quotes(name) {
        "Give the name as in a query, where one with capitals or spaces is in double quotes: '\"My View\"'."
    } else {
        "Give the name of a materialized view or view, or a query with query => '...'."
    };
    let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
    Error::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist")).hint(hint)
}

fn is_query(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    text.trim() != first && ["select", "with", "values", "table"].iter().any(|word| first.eq_ignore_ascii_case(word))
}

fn needs_quotes(name: &str) -> bool {
    let unusual = |c: char| c.is_uppercase() || c.is_whitespace();
    !name.contains('"') && name.trim().contains(unusual)
}

pub fn not_a_view(name: &str, kind: &str) -> Error {
    Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a view or materialized view"))
        .detail(format!("It is {kind}."))
        .hint("Create a materialized view with the query to be maintained, and give its name.")
}

pub fn already_maintained(name: &str) -> Error {
    Error::new(SqlState::DUPLICATE_OBJECT, format!("maintained table {name} already exists"))
        .hint("It is always current. To make it anew, call drop_imat first; to keep a second one, give another schema.")
}

pub fn name_taken(name: &str) -> Error {
    Error::new(SqlState::DUPLICATE_TABLE, format!("relation {name} already exists"))
        .hint("Give another schema with schema => '...'.")
}

pub fn no_schema(schema: &str) -> Error {
    Error::new(SqlState::UNDEFINED_SCHEMA, format!("schema \"{schema}\" does not exist"))
        .hint("Create it, or leave the schema out to use \"imat\".")
}

pub fn no_schema_privilege(schema: &str) -> Error {
    Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied for schema {schema}"))
        .hint("Ask for the CREATE privilege on it, or leave the schema out to use \"imat\".")
}

pub fn not_owner(kind: &str, name: &str) -> Error {
    Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("must be owner of {kind} {name}"))
        .hint("Let the owner, or a member of the owning role, call it.")
}

pub fn read_by_another(name: &str, reader: &str) -> Error {
    Error::new(
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
        format!("cannot drop {name} because maintained table {reader} reads it"),
    )
    .hint("Call drop_imat on that one first.")
}

pub fn unknown_event(event: &str) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("unknown event \"{event}\""))
        .hint("Only the event triggers of pg_imat are to call this function.")
}

pub fn torn() -> Error {
    Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, "changes of base tables were lost by an earlier error")
        .detail("The maintained tables cannot be brought up to date in this transaction.")
        .hint("Roll it back, and try again.")
}

pub fn not_one_select() -> Error {
    Error::new(SqlState::SYNTAX_ERROR, "the query must be a single SELECT statement")
        .hint("Write any data change as a statement of its own.")
}

pub fn volatile(function: &str) -> Error {
    Error::new(UNSUPPORTED, format!("cannot maintain a view that calls {function}"))
        .detail("The function is volatile, so a stored row could become wrong without any change to its tables.")
        .hint("Compute it in a query over the maintained table instead.")
}

pub fn too_wide(columns: usize) -> Error {
    Error::new(UNSUPPORTED, "cannot maintain a view with so many columns")
        .detail(format!(
            "PostgreSQL can't make a table with {columns} columns and an index of the columns that tell its rows apart."
        ))
        .hint("Leave columns out, or group by fewer; some 300 are always possible.")
}

/// A function that can't find a name; `message` is PostgreSQL's.
pub fn hidden_name(function: &str, state: &'static str, message: &str) -> Error {
    Error::new(SqlState(state), format!("cannot maintain a view that calls {function}"))
        .detail(format!(
            "Functions of a maintained table find only pg_catalog on the search path, and not what this one looks for: {message}."
        ))
        .hint(format!("Write the schema in its body, or call ALTER FUNCTION {function} SET search_path FROM CURRENT."))
}

pub fn too_wide_row(bytes: u32, room: u32) -> Error {
    Error::new(UNSUPPORTED, "cannot maintain a view with so many columns")
        .detail(format!(
            "A row of its state takes {bytes} bytes even where all values are short, and PostgreSQL can't store more than {room}."
        ))
        .hint("Leave columns or aggregates out, or make several maintained tables of it. An aggregate can take several columns: count and sum take one, variance takes three.")
}

pub fn stable(function: &str, builtin: bool) -> Error {
    let hint = match builtin {
        true => "Compute it in a query over the maintained table instead.",
        false => {
            "If it depends on nothing but its arguments, declare it IMMUTABLE; \
             else compute it in a query over the maintained table."
        }
    };
    Error::new(UNSUPPORTED, format!("cannot maintain a view that calls {function}"))
        .detail(
            "The function is stable, so its result can depend on the time, the session or other tables, \
             and a stored row could become wrong without any change to the view's tables.",
        )
        .hint(hint)
}

pub fn own_text_search(configuration: &str) -> Error {
    Error::new(UNSUPPORTED, "cannot maintain a view that uses the default text search configuration")
        .detail(format!("It is {configuration} in this session, and nothing would tell when that is altered."))
        .hint(format!("Name it in the query: to_tsvector('{configuration}', ...)."))
}

pub fn system_column() -> Error {
    Error::new(UNSUPPORTED, "cannot maintain a view that reads a system column")
        .detail("Columns such as ctid and xmin change without any change to the row.")
        .hint("Use a column of the table's own, such as its primary key.")
}

pub fn tablesample() -> Error {
    Error::new(UNSUPPORTED, "cannot maintain a view with TABLESAMPLE")
        .detail("Which rows are sampled depends on where they are stored.")
        .hint("Sample in a query over the maintained table instead.")
}

/// A relation that can't be a base table.
pub fn base(name: &str, kind: &str, detail: &str, hint: &str) -> Error {
    Error::new(UNSUPPORTED, format!("cannot maintain a view over {kind} {name}")).detail(detail).hint(hint)
}

pub fn citus_table(name: &str) -> Error {
    base(
        name,
        "Citus table",
        "Citus keeps its rows in shards, and their changes can't be seen here.",
        "Maintain a view over tables that Citus doesn't manage; undistribute_table makes it one of these.",
    )
}

pub fn became_citus_table(table: &str, name: &str) -> Error {
    Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, format!("maintained table {name} cannot follow its base tables"))
        .detail(format!("Table {table} is managed by Citus by now, which keeps its rows in shards."))
        .hint("Call drop_imat.")
}

pub fn unknown_node(node: &str) -> Error {
    Error::new(UNSUPPORTED, "cannot maintain a view with a construct that pg_imat does not know")
        .detail(format!("What its result depends on is not known either. PostgreSQL calls it {node}."))
        .hint("Compute it in a query over the maintained table instead.")
}

/// Why the text of a query means something else than the query.
#[derive(Clone, Copy, Debug)]
pub enum Misread {
    /// The text resolves to other operators or functions.
    Operator,
    /// The row of a join has more columns.
    Row,
    Otherwise,
}

pub fn changed_meaning(name: &str, misread: Misread) -> Error {
    let (why, hint) = match misread {
        Misread::Operator => (
            ": it uses an operator or function of another schema in a place where the text can't name it, \
             such as IN, CASE or USING.",
            "Write the comparison out with the operator's full name: a OPERATOR(schema.=) b.",
        ),
        Misread::Row => (
            ": it uses as a whole the row of a join whose tables have got more columns, or of a materialized view in whose \
             place a maintained table would be read.",
            "Create the view again, to take in the new columns.",
        ),
        Misread::Otherwise => {
            (".", "Create the view again from the text that pg_get_viewdef returns, if that is what you mean.")
        }
    };
    Error::new(UNSUPPORTED, format!("cannot maintain {name}"))
        .detail(format!("PostgreSQL's own text of its query does not mean the same as the query{why}"))
        .hint(hint)
}

pub fn not_maintained(name: &str) -> Error {
    Error::new(SqlState::UNDEFINED_OBJECT, format!("\"{name}\" is not a maintained table"))
        .hint("See the view imat_status for those that there are.")
}

pub fn out_of_step(name: &str) -> Error {
    Error::new(SqlState::DATA_CORRUPTED, format!("maintained table {name} is out of step with its base tables"))
        .detail("A group has fewer rows than were taken away.")
        .hint("Call refresh_imat to make it anew, and please report this.")
}

pub fn orphaned(table: &str) -> Error {
    Error::new(
        SqlState::NOT_IN_PREREQUISITE_STATE,
        format!("table {table} has triggers of pg_imat, but no maintained table is known to read it"),
    )
    .detail("They are called otherwise than those that pg_imat makes, so they are copies, of another table's.")
    .hint("Drop these triggers, and call create_imat on a view over this table to have its changes followed.")
}

/// A WARNING. `why` is the reason why a maintained table that reads it could not be adopted.
pub fn unread(table: &str, why: Option<&Error>) -> Error {
    let detail = match why {
        Some(why) => format!("One that was restored without its bookkeeping can't be maintained: {}.", why.message),
        None => {
            "A part of a dump was restored, or is being restored, that has them and not what they are for.".to_owned()
        }
    };
    let message = match why {
        Some(_) => format!("not every maintained table over {table} is maintained"),
        None => format!("table {table} has triggers of pg_imat, but no maintained table is known to read it"),
    };
    Error::new(SqlState::WARNING, message)
    .detail(detail)
    .hint(
        "Its changes are not followed there. Restore the schemas imat, imat_state and imat_catalog as well, or drop its \
         triggers named imat_*, and what was restored to those schemas.",
    )
}

pub fn stale_shape(name: &str) -> Error {
    Error::new(
        SqlState::NOT_IN_PREREQUISITE_STATE,
        format!("maintained table {name} no longer fits the definition of its base tables"),
    )
    .detail("A column, a type or a constraint that it relies on is not what it was when it was created.")
    .hint("Call drop_imat before the change, and create_imat after it.")
}

pub fn serialization() -> Error {
    Error::new(SqlState::SERIALIZATION_FAILURE, "could not serialize access due to concurrent update")
        .detail("Another transaction changed rows that belong to the same maintained rows.")
        .hint("The transaction might succeed if retried.")
}

pub fn qualified_name(name: &str) -> Error {
    Error::new(SqlState::INVALID_NAME, format!("\"{name}\" is not the name of one relation"))
        .hint("Give the name without a schema, and the schema with schema => '...'.")
}

pub fn changed_by_flush() -> Error {
    Error::new(UNSUPPORTED, "cannot change a base table from a trigger on a maintained table")
        .detail("The change would come in the middle of applying another one.")
        .hint("Put the trigger on a base table instead.")
}

pub fn temporary_object(name: &str) -> Error {
    Error::new(UNSUPPORTED, format!("cannot maintain a view that uses the temporary {name}"))
        .detail("It ends with the session, and a maintained table does not.")
        .hint("Create it in a permanent schema.")
}

pub fn view_below_replaced(view: &str, name: &str) -> Error {
    Error::new(
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
        format!("cannot replace view {view} because maintained table {name} depends on it"),
    )
    .hint("Call drop_imat, replace the view, and call create_imat again.")
}

pub fn trigger_dropped(relation: &str, name: &str) -> Error {
    Error::new(
        SqlState::NOT_IN_PREREQUISITE_STATE,
        format!("cannot drop or replace the triggers of pg_imat on {relation}"),
    )
    .detail(format!("Maintained table {name} would no longer follow its changes."))
    .hint("Call drop_imat first, and create_imat afterwards.")
}

pub fn subscribed(name: &str) -> Error {
    Error::new(UNSUPPORTED, format!("cannot replicate into {name}"))
        .detail("Maintained tables follow their base tables by themselves, wherever the changes of those come from.")
        .hint(
            "Publish the base tables without the schemas imat, imat_state and imat_catalog. \
             If the command has created a replication slot on the publisher, drop it there.",
        )
}

pub fn published(name: &str, publication: &str) -> Error {
    Error::new(
        SqlState::NOT_IN_PREREQUISITE_STATE,
        format!("cannot create maintained table {name} because publication \"{publication}\" would publish it"),
    )
    .detail("Its state and the bookkeeping would be published as well, and stop all subscribers that don't have them.")
    .hint(
        "Have subscribers use a publication of the base tables alone, FOR TABLE or, from PostgreSQL 15, FOR TABLES IN SCHEMA, \
         and drop this one. If nobody stops at an unknown table, SET imat.publish_states = on.",
    )
}

/// A WARNING.
pub fn publishes_all(publication: &str) -> Error {
    Error::new(
        SqlState::WARNING,
        format!("publication \"{publication}\" publishes the bookkeeping and states of pg_imat"),
    )
    .detail("Subscribers stop where they don't have these tables, and create_imat is refused as long as it is so.")
    .hint(
        "Publish the base tables alone, FOR TABLE or, from PostgreSQL 15, FOR TABLES IN SCHEMA without the schemas \
             imat, imat_state and imat_catalog.",
    )
}

/// A WARNING.
pub fn other_owner(target: &str, table: &str, role: &str) -> Error {
    Error::new(
        SqlState::WARNING,
        format!("{target} will be maintained as a superuser, and reads a table of another role"),
    )
    .detail(format!("Table {table} belongs to {role}, whose indexes on it can run code as the superuser."))
    .hint("Let that role own the view and the maintained table, or one with no more rights.")
}

/// A WARNING.
pub fn stale(name: &str, reason: &str) -> Error {
    Error::new(SqlState::WARNING, format!("maintained table {name} is stale"))
        .detail(format!("It does not follow its base tables, because {reason}."))
        .hint("It will be made anew when they are enabled again, by ALTER TABLE ... ENABLE TRIGGER or by refresh_imat.")
}

pub fn column_retyped(column: &str, table: &str, name: &str) -> Error {
    Error::new(
        UNSUPPORTED,
        format!("cannot alter the type of column {column} of {table} because maintained table {name} reads it"),
    )
    .hint("Call drop_imat before the change, and create_imat after it.")
}

pub fn base_altered(relation: &str, name: &str, what: &str) -> Error {
    Error::new(
        SqlState::NOT_IN_PREREQUISITE_STATE,
        format!("cannot {what} {relation} because maintained table {name} reads it"),
    )
    .hint("Call drop_imat first.")
}

pub fn row_security(table: &str, name: &str) -> Error {
    Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, format!("maintained table {name} cannot follow its base tables"))
        .detail(format!("Row-level security on {table} would keep rows from it."))
        .hint("Disable row-level security on that table and call refresh_imat, or call drop_imat.")
}

/// An alteration that would let a maintained table differ from its query. `action` comes before its name in the
/// message.
pub fn maintained_altered(action: &str, name: &str) -> Error {
    Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, format!("cannot {action} maintained table {name}"))
        .detail("Its content would no longer be the result of its query.")
        .hint("Call drop_imat first.")
}

pub fn unfit_redefinition(name: &str, why: &Error) -> Error {
    Error::new(why.state, format!("cannot change what maintained table {name} uses"))
        .detail(why.detail.clone().unwrap_or_else(|| format!("With it: {}.", why.message)))
        .hint("Call drop_imat first.")
}

pub fn unfit_owner(name: &str, why: &Error) -> Error {
    Error::new(why.state, format!("cannot give maintained table {name} to that role"))
        .detail(format!("With it as the owner the table could not be maintained: {}.", why.message))
        .hint("Give it the base tables first, or call drop_imat.")
}

pub fn hierarchy_altered(base: &str, name: &str, reason: &str) -> Error {
    Error::new(
        SqlState::NOT_IN_PREREQUISITE_STATE,
        format!("cannot give {base} another partition, child or parent because maintained table {name} reads it"),
    )
    .detail(reason)
    .hint("Call drop_imat before the change, and create_imat after it.")
}

pub fn text_redefined(name: &str) -> Error {
    Error::new(
        SqlState::NOT_IN_PREREQUISITE_STATE,
        format!("cannot change what the text of the query of maintained table {name} means"),
    )
    .detail("The text would name another function, operator or cast than the one that the query was made with.")
    .hint("Call drop_imat before the change, and create_imat after it.")
}

pub fn concurrent_detach(table: &str, name: &str) -> Error {
    Error::new(
        UNSUPPORTED,
        format!("cannot detach a partition of {table} concurrently because maintained table {name} reads it"),
    )
    .detail("Between its two transactions queries leave the partition out, and the maintained table would not.")
    .hint("Detach it without CONCURRENTLY.")
}

pub fn null_argument(name: &str) -> Error {
    Error::new(SqlState::NULL_VALUE_NOT_ALLOWED, format!("argument \"{name}\" must not be null"))
}

pub fn no_name() -> Error {
    null_argument("view").hint("Give the maintained table a name: create_imat('name', query => '...').")
}

pub fn no_columns() -> Error {
    Error::new(UNSUPPORTED, "cannot maintain a view without columns").hint("Give it at least one column.")
}

pub fn generated_columns(name: &str) -> Error {
    Error::new(UNSUPPORTED, format!("cannot maintain a view over table {name}"))
        .detail(
            "It has generated columns and partitions or children. Before version 16 PostgreSQL's MERGE stores NULL in \
             generated columns of such a table as soon as it has a statement trigger.",
        )
        .hint("Use PostgreSQL 16 or later, or compute the column in the view.")
}

pub fn online_in_transaction() -> Error {
    Error::new(
        SqlState::ACTIVE_SQL_TRANSACTION,
        "create_imat with online => true cannot run inside a transaction block",
    )
    .detail("It commits several times, so that nobody has to wait for it.")
    .hint("CALL it as a statement of its own, not from a function, or use SELECT create_imat(...).")
}

pub fn being_built(name: &str) -> Error {
    Error::new(SqlState::OBJECT_IN_USE, format!("maintained table {name} is being built by another session"))
        .hint("See imat_status for how far it is. To stop it, cancel the statement of that session.")
}

pub fn unfinished(name: &str) -> Error {
    Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, format!("maintained table {name} is not built yet"))
        .detail("It is being built online, or that was cut short: see imat_status.")
        .hint("If nobody is building it, call create_imat again, or drop_imat.")
}

pub fn build_lost(name: &str) -> Error {
    Error::new(SqlState::UNDEFINED_OBJECT, format!("maintained table {name} was dropped while it was being built"))
        .hint("Call create_imat again, if it is still wanted.")
}

pub fn build_stale(name: &str, reason: &str) -> Error {
    Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, format!("cannot go on building maintained table {name}"))
        .detail(format!("Changes of its base tables are not seen: {reason}."))
        .hint("Enable them, and call create_imat again.")
}

/// Ends an attempt to lock; users never see it.
pub fn lock_not_available() -> Error {
    Error::new(SqlState::LOCK_NOT_AVAILABLE, "could not keep writers out in time")
}
