//! A view for a query that is given as text.

use imat_compile::error::Error;
use imat_compile::sql::ddl;

use crate::catalog::names;
use crate::pg::{query, spi};
use crate::refuse;

/// A temporary view of the query, made as the caller, for [`crate::build::create`] and `check_imat`. It is dropped by
/// [`QueryView::drop`], or by the rollback at an error.
pub struct QueryView {
    pub view: u32,
    name: String,
}

impl QueryView {
    pub fn create(text: &str) -> Result<Self, Error> {
        if !query::is_one_select(text) {
            return Err(refuse::not_one_select());
        }
        let free = |name: &String| names::resolve(&format!("pg_temp.{name}")).is_none();
        let name = (0..).map(|number| format!("imat_query_{number}")).find(free).unwrap_or_default();
        spi::run(&ddl::create_temporary_view(&name, text));
        let view = names::resolve(&format!("pg_temp.{name}")).ok_or_else(|| refuse::missing(&name))?;
        Ok(Self { view, name })
    }

    pub fn drop(self) {
        spi::run(&ddl::drop_temporary_view(&self.name));
    }
}
