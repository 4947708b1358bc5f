//! Copies the indexes, grants and comments of a view to its maintained table.

use imat_compile::name::QName;
use imat_compile::plan::Plan;
use imat_compile::sql::{Sql, ddl};

use crate::build::scratch::Scratch;
use crate::catalog::facts::oid;
use crate::catalog::names::{is_taken, unused};
use crate::pg::error::notice;
use crate::pg::spi;

/// An index of the materialized view.
struct Found {
    index: ddl::Index,
    comment: Option<String>,
    /// All columns that it uses.
    columns: Vec<String>,
    /// The key columns that it compares as the state's key does: with the default operator class and the
    /// column's collation, not in an expression.
    compared: Vec<String>,
    whole_row: bool,
}

fn found(view: u32) -> Vec<Found> {
    const INDEXES: Sql = Sql::fixed(
        "SELECT i.indisunique, c.relname::text, \
             pg_catalog.substr(d.text, 1 + pg_catalog.length(pg_catalog.format('CREATE %sINDEX %I ON %I.%I USING ', \
                 CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, c.relname, n.nspname, v.relname))), \
             pg_catalog.obj_description(c.oid, 'pg_class'), \
             ARRAY(SELECT a.attname::text FROM pg_catalog.pg_depend AS u \
                 JOIN pg_catalog.pg_attribute AS a ON a.attrelid = u.refobjid AND a.attnum = u.refobjsubid \
                 WHERE u.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND u.objid = i.indexrelid \
                 AND u.refobjid = i.indrelid AND u.refobjsubid > 0), \
             ARRAY(SELECT a.attname::text FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) AS k \
                 JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k] \
                     AND a.attcollation = i.indcollation[k] \
                 JOIN pg_catalog.pg_opclass AS o ON o.oid = i.indclass[k] AND o.opcdefault), \
             pg_catalog.concat(i.indexprs, i.indpred) ~ ':varattno 0 ' \
         FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid \
         JOIN pg_catalog.pg_class AS v ON v.oid = i.indrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = v.relnamespace \
         CROSS JOIN LATERAL pg_catalog.pg_get_indexdef(i.indexrelid) AS d(text) \
         WHERE i.indrelid = $1 AND i.indisvalid ORDER BY c.relname",
    );
    spi::rows(&INDEXES, &[oid(view)], |row| Found {
        index: ddl::Index { unique: row.need(1), name: row.need(2), definition: row.need(3) },
        comment: row.get(4),
        columns: row.need(5),
        compared: row.need(6),
        whole_row: row.need(7),
    })
}

/// Creates those indexes of the materialized view whose columns the state has. The state is still called `state`, and
/// its key index is named after the final name. A unique index stays unique only if it contains the whole key:
/// otherwise two rows could have equal values in the middle of a flush.
pub fn indexes(view: u32, plan: &Plan, scratch: &Scratch, state: &QName, name: &QName) {
    const KEY: Sql = Sql::fixed(
        "SELECT c.relname::text FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid \
         JOIN pg_catalog.pg_class AS s ON s.oid = i.indrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = s.relnamespace \
         WHERE n.nspname = $1 AND s.relname = $2",
    );
    let params = [state.schema.as_str().into(), state.name.as_str().into()];
    let key = spi::first(&KEY, &params, |row| row.need::<String>(1));
    let schemas = [name.schema.as_str(), state.schema.as_str(), "imat_state"];
    let taken = |index: &str| index == name.name || schemas.iter().any(|schema| is_taken(schema, index));
    let free = |wanted: &str| unused(wanted, taken);
    let has = |column: &String| plan.columns.iter().any(|stored| stored.name == *column);
    for Found { index, comment, columns, compared, whole_row } in found(view) {
        if whole_row || !columns.iter().all(has) {
            notice(
                &format!("index \"{}\" is not carried over", index.name),
                "It uses columns that are computed when the maintained table is read.",
            );
            continue;
        }
        let unique = index.unique && plan.key_is_within(&compared);
        if index.unique && !unique {
            notice(
                &format!("unique index \"{}\" is carried over as a plain one", index.name),
                "Its columns are not the whole key, so two rows could have the same values in the middle of a change.",
            );
        }
        let index = ddl::Index { unique, name: free(&index.name), ..index };
        scratch.run(&ddl::create_index(state, &index));
        let created = QName::new(state.schema.as_str(), index.name.as_str());
        comment.iter().for_each(|text| scratch.run(&ddl::comment("INDEX", &created, text)));
    }
    if let Some(key) = key {
        let key = QName::new(state.schema.as_str(), key);
        scratch.run(&ddl::rename_index(&key, &free(&format!("{}_key", name.name))));
    }
}

/// Grants SELECT on the maintained table, or its columns, to the roles that have it on the view.
pub fn grants(view: u32, target: &QName) {
    const GRANTS: Sql = Sql::fixed(
        "WITH acl AS ( \
             SELECT NULL::text AS column, c.relacl AS acl, c.relowner FROM pg_catalog.pg_class AS c WHERE c.oid = $1 \
             UNION ALL SELECT a.attname, a.attacl, c.relowner FROM pg_catalog.pg_attribute AS a \
                 JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid WHERE a.attrelid = $1 AND NOT a.attisdropped) \
         SELECT l.column, CASE WHEN a.grantee <> 0 THEN pg_catalog.pg_get_userbyid(a.grantee)::text END, a.is_grantable \
         FROM acl AS l CROSS JOIN LATERAL pg_catalog.aclexplode(l.acl) AS a \
         WHERE a.privilege_type = 'SELECT' AND a.grantee <> l.relowner",
    );
    let grant = |row: &spi::Row| (row.get::<String>(1), row.get::<String>(2), row.need::<bool>(3));
    for (column, role, grantable) in spi::rows(&GRANTS, &[oid(view)], grant) {
        spi::run(&ddl::grant_select(target, column.as_deref(), role.as_deref(), grantable));
    }
}

/// Revokes what the owner's default privileges have granted: grants come from the view alone.
pub fn revoke_default_grants(relation: &QName) {
    const GRANTED: Sql = Sql::fixed(
        "SELECT DISTINCT CASE WHEN a.grantee <> 0 THEN pg_catalog.pg_get_userbyid(a.grantee)::text END \
         FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS a \
         WHERE n.nspname = $1 AND c.relname = $2 AND a.grantee <> c.relowner",
    );
    let params = [relation.schema.as_str().into(), relation.name.as_str().into()];
    for role in spi::rows(&GRANTED, &params, |row| row.get::<String>(1)) {
        spi::run(&ddl::revoke_all(relation, role.as_deref()));
    }
}

/// Copies the comments on the view and its columns.
pub fn comments(view: u32, target: &QName, is_view: bool) {
    const COMMENTS: Sql = Sql::fixed(
        "SELECT a.attname::text, d.description FROM pg_catalog.pg_description AS d \
         LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND d.objsubid > 0 \
         WHERE d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objoid = $1",
    );
    let kind = if is_view { "VIEW" } else { "TABLE" };
    for (column, text) in spi::rows(&COMMENTS, &[oid(view)], |row| (row.get::<String>(1), row.need::<String>(2))) {
        spi::run(&match column {
            Some(column) => ddl::comment_on_column(target, &column, &text),
            None => ddl::comment(kind, target, &text),
        });
    }
}
