pub mod adopt;
pub mod command;
pub mod ddl;
pub mod inheritance;
pub mod restored;
