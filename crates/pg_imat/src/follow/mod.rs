//! What others do: commands that alter what maintained tables are made of, and what dumps bring.

pub mod adopt;
pub mod command;
pub mod ddl;
pub mod inheritance;
pub mod restored;
