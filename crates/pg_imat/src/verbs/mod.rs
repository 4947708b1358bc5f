pub mod api;
pub mod manage;
