//! The columns of a state and its key, as statements name them.

use crate::name::ident;
use crate::plan::{Body, Key, Plan};
use crate::sql::builder::list;

impl Plan {
    /// The column that says how many rows a state row stands for.
    pub(crate) fn count_column(&self) -> String {
        let position = match &self.body {
            Body::Grouped(grouped) => grouped.count_column(),
            Body::Rows(_) => self.columns.len() - 1,
        };
        ident(&self.columns[position].name)
    }

    pub(crate) fn key_columns(&self) -> Vec<String> {
        self.key_positions().into_iter().map(|position| ident(&self.columns[position].name)).collect()
    }

    /// What ON CONFLICT infers the key's index from, parentheses included.
    pub(crate) fn conflict_target(&self) -> Option<String> {
        match self.key {
            Key::Single => None,
            Key::Columns { .. } => Some(format!("({})", list(self.key_columns()))),
            Key::Image => Some(format!("({})", self.key_image(""))),
        }
    }

    /// The expression of an image key's index. `prefix` is put before each column.
    pub(crate) fn key_image(&self, prefix: &str) -> String {
        let columns = self.key_columns().into_iter().enumerate().map(|(key, column)| match &self.body {
            // One image for all scales of a number.
            Body::Grouped(grouped) if grouped.keys[key].scaled => format!("pg_catalog.trim_scale({prefix}{column})"),
            _ => format!("{prefix}{column}"),
        });
        format!("(imat_catalog.row_image(ROW({})))", list(columns))
    }
}
