//! Finds MERGEs into partitioned tables.
//!
//! Up to version 18, when MERGE moves a row to another partition, PostgreSQL leaves the old row out of the transition
//! tables, and without an INSERT action the new row too. The trigger's data doesn't show that. So a statement that
//! could do this is recognised by its plan, right before its AFTER triggers fire, and the maintained tables over the
//! table are rebuilt.

use pgrx::pg_sys;

/// The partitioned tables whose rows a statement's MERGEs update: none, since version 14 has no MERGE.
#[cfg(feature = "pg14")]
pub unsafe fn merged(_statement: *mut pg_sys::PlannedStmt) -> Vec<u32> {
    Vec::new()
}

/// The partitioned tables whose rows a statement's MERGEs update. MERGEs in WITH are subplans.
#[cfg(not(feature = "pg14"))]
pub unsafe fn merged(statement: *mut pg_sys::PlannedStmt) -> Vec<u32> {
    // SAFETY: a node is read as what its tag says it is.
    unsafe {
        let subplans = pgrx::PgList::<pg_sys::Plan>::from_pg((*statement).subplans);
        std::iter::once((*statement).planTree)
            .chain(subplans.iter_ptr())
            .filter(|plan| !plan.is_null() && (**plan).type_ == pg_sys::NodeTag::T_ModifyTable)
            .map(|plan| plan.cast::<pg_sys::ModifyTable>())
            .filter(|modify| (**modify).operation == pg_sys::CmdType::CMD_MERGE && updates(*modify))
            .map(|modify| target(statement, modify))
            .filter(|&table| pg_sys::get_rel_relkind(table) == pg_sys::RELKIND_PARTITIONED_TABLE as std::ffi::c_char)
            .map(|table| table.to_u32())
            .collect()
    }
}

#[cfg(not(feature = "pg14"))]
unsafe fn target(statement: *mut pg_sys::PlannedStmt, modify: *mut pg_sys::ModifyTable) -> pg_sys::Oid {
    // SAFETY: the index is one of the range table's, from 1.
    unsafe {
        let tables = pgrx::PgList::<pg_sys::RangeTblEntry>::from_pg((*statement).rtable);
        let entry = tables.get_ptr((*modify).nominalRelation as usize - 1);
        entry.map_or(pg_sys::Oid::INVALID, |entry| (*entry).relid)
    }
}

#[cfg(not(feature = "pg14"))]
unsafe fn updates(modify: *mut pg_sys::ModifyTable) -> bool {
    // SAFETY: a list of lists of actions.
    unsafe {
        let lists = pgrx::PgList::<pg_sys::List>::from_pg((*modify).mergeActionLists);
        lists.iter_ptr().any(|list| {
            let actions = pgrx::PgList::<pg_sys::MergeAction>::from_pg(list);
            actions.iter_ptr().any(|action| (*action).commandType == pg_sys::CmdType::CMD_UPDATE)
        })
    }
}
