//! Creates the state, and checks whether it can hold rows and whether reading it depends on the reader's settings.
//!
//! PostgreSQL creates a table with hundreds of columns, and fails at the first row that does not fit on a page.
//! Storing values out of line (TOAST) does not help: each leaves a pointer, and short values are not moved.

use imat_compile::error::Error;
use imat_compile::name::QName;
use imat_compile::plan::Plan;
use imat_compile::sql::{Sql, ddl};

use crate::build::analyze;
use crate::build::scratch::Scratch;
use crate::catalog::facts::oid;
use crate::catalog::names;
use crate::pg::{spi, xact};
use crate::refuse;

/// The bytes of a short value of variable length, such as a number of ten digits or a word. That is less than a TOAST
/// pointer.
const SHORT: u32 = 9;

/// The same for a type with storage PLAIN, whose values always have the four-byte header.
const SHORT_PLAIN: u32 = 12;

/// A tuple's header, without the null bitmap.
const HEADER: u32 = 23;

/// The bytes of a page that its only tuple can't use: the page header and the item pointer.
const PAGE_HEADER: u32 = 32;

/// Creates the state as `name`, or drops it again if it can't hold a row. How many columns a key can have depends on
/// how well PostgreSQL can compress the catalog's text for the index, so this just tries.
pub fn create(plan: &Plan, name: &QName, scratch: &Scratch) -> Result<(), Error> {
    let statements = || plan.create(name).iter().for_each(|sql| scratch.run(sql));
    xact::attempt_unless_too_large(statements).ok_or_else(|| refuse::too_wide(plan.columns.len()))?;
    let table = names::exists(name).ok_or_else(|| refuse::missing(&name.to_string()))?;
    let (bytes, room) = (width(&columns(table)), room());
    if bytes > room {
        scratch.run(&ddl::drop_table(name, false));
        return Err(refuse::too_wide_row(bytes, room));
    }
    Ok(())
}

/// Whether reading the maintained table evaluates expressions that depend on the reader's settings. To find out, the
/// view over the state is made as `result` and dropped again.
pub fn depends_on_reader(plan: &Plan, state: &QName, result: &QName, scratch: &Scratch) -> Result<bool, Error> {
    let Some(create) = ddl::create_result(result, plan, state) else { return Ok(false) };
    scratch.run(&create);
    let depends = names::exists(result).map_or(Ok(false), analyze::depends_on_reader);
    scratch.run(&ddl::drop_view(result, false));
    depends
}

/// For each column of a table: its length, its alignment, and whether its storage is PLAIN.
fn columns(table: u32) -> Vec<(i32, u32, bool)> {
    const COLUMNS: Sql = Sql::fixed(
        "SELECT a.attlen::int4, CASE a.attalign WHEN 'd' THEN 8 WHEN 'i' THEN 4 WHEN 's' THEN 2 ELSE 1 END, a.attstorage = 'p' \
         FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
    );
    spi::rows(&COLUMNS, &[oid(table)], |row| (row.need(1), row.need::<i32>(2).cast_unsigned(), row.need(3)))
}

/// The greatest length of a row on this server.
fn room() -> u32 {
    const BLOCK: Sql = Sql::fixed("SELECT pg_catalog.current_setting('block_size')::int4");
    spi::first(&BLOCK, &[], |row| row.need::<i32>(1)).unwrap_or(8192).cast_unsigned() - PAGE_HEADER
}

/// The length of a row with a short value in each of these columns.
fn width(columns: &[(i32, u32, bool)]) -> u32 {
    let header = (HEADER + u32::try_from(columns.len()).unwrap_or(u32::MAX).div_ceil(8)).next_multiple_of(8);
    columns.iter().fold(header, |end, &(length, align, plain)| match u32::try_from(length) {
        Ok(length) => end.next_multiple_of(align) + length,
        Err(_) if plain => end.next_multiple_of(align) + SHORT_PLAIN,
        Err(_) => end + SHORT,
    })
}

/// Finds an alteration of a state that would let its rows differ from those that flushes write; returns it in words.
pub fn unfit(state: u32) -> Option<String> {
    const QUERY: Sql = Sql::fixed(
        "SELECT a.action FROM pg_catalog.pg_class AS c CROSS JOIN LATERAL (SELECT CASE \
             WHEN c.relpersistence <> 'p' THEN 'turn off logging of' \
             WHEN c.relrowsecurity AND c.relforcerowsecurity THEN 'force row-level security on' \
             WHEN EXISTS (SELECT FROM pg_catalog.pg_rewrite AS r WHERE r.ev_class = c.oid) THEN 'create a rule on' \
             WHEN EXISTS (SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid = c.oid AND t.tgtype & 3 = 3) \
                 THEN 'create a BEFORE row trigger on' \
             WHEN EXISTS (SELECT FROM pg_catalog.pg_inherits AS h WHERE c.oid IN (h.inhparent, h.inhrelid)) \
                 THEN 'use inheritance with' END) AS a(action) \
         WHERE c.oid = $1 AND a.action IS NOT NULL",
    );
    spi::first(&QUERY, &[oid(state)], |row| row.need(1))
}
