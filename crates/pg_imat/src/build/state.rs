//! The empty state, whether it can hold its rows, and whether what is read of it is as it was kept.
//!
//! PostgreSQL creates a table with hundreds of columns and says only at the first row that it does not fit its page.
//! Moving values out of line does not help there: what is moved leaves a pointer, and short values are not moved.

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

/// What a short value of a type without a fixed length takes, a number of ten digits or a word: less than the pointer
/// that would stand in its place.
const SHORT: u32 = 9;

/// The same of a type whose values always have the long header.
const SHORT_PLAIN: u32 = 12;

/// A tuple's header, without the bits that tell NULLs.
const HEADER: u32 = 23;

/// What a page takes for itself and for its only tuple.
const PAGE_HEADER: u32 = 32;

/// Creates it as `name`, of which nothing is left if it can't hold a row. How many columns its key can have depends on
/// what PostgreSQL's text for them can be compressed to, so that is tried.
pub fn create(plan: &Plan, name: &QName, scratch: &Scratch) -> Result<(), Error> {
    let statements = || plan.create(name).iter().for_each(|sql| scratch.run(sql));
    xact::attempt_within_limits(statements).ok_or_else(|| refuse::too_wide(plan.columns.len()))?;
    let table = names::exists(name).ok_or_else(|| refuse::missing(&name.to_string()))?;
    let (bytes, room) = (width(&columns(table)), room());
    if bytes > room {
        scratch.run(&ddl::drop_table(name, false));
        return Err(refuse::too_wide_row(bytes, room));
    }
    Ok(())
}

/// Whether what is read of a state is computed when it is read, and so under other settings than the maintained table's.
/// The view that computes it is made as `result` and dropped again.
pub fn follows_reader(plan: &Plan, state: &QName, result: &QName, scratch: &Scratch) -> Result<bool, Error> {
    let Some(create) = ddl::create_result(result, plan, state) else { return Ok(false) };
    scratch.run(&create);
    let follows = names::exists(result).map_or(Ok(false), analyze::follows_reader);
    scratch.run(&ddl::drop_view(result, false));
    follows
}

/// The length, the alignment and whether it is always stored as it is, of each column of a table.
fn columns(table: u32) -> Vec<(i32, u32, bool)> {
    const COLUMNS: Sql = Sql::fixed(
        "SELECT a.attlen::int4, CASE a.attalign WHEN 'd' THEN 8 WHEN 'i' THEN 4 WHEN 's' THEN 2 ELSE 1 END, a.attstorage = 'p' \
         FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
    );
    spi::rows(&COLUMNS, &[oid(table)], |row| (row.need(1), row.need::<i32>(2).cast_unsigned(), row.need(3)))
}

/// How long a row of this server can be.
fn room() -> u32 {
    const BLOCK: Sql = Sql::fixed("SELECT pg_catalog.current_setting('block_size')::int4");
    spi::first(&BLOCK, &[], |row| row.need::<i32>(1)).unwrap_or(8192).cast_unsigned() - PAGE_HEADER
}

/// The bytes of a row with a short value in each of these columns.
fn width(columns: &[(i32, u32, bool)]) -> u32 {
    let header = (HEADER + u32::try_from(columns.len()).unwrap_or(u32::MAX).div_ceil(8)).next_multiple_of(8);
    columns.iter().fold(header, |end, &(length, align, plain)| match u32::try_from(length) {
        Ok(length) => end.next_multiple_of(align) + length,
        Err(_) if plain => end.next_multiple_of(align) + SHORT_PLAIN,
        Err(_) => end + SHORT,
    })
}

/// What somebody did to a state that would do so.
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
