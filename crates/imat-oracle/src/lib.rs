//! Checks of pg_imat on a live server: random views under random changes, interleaved transactions, and concurrent
//! histories.
//!
//! All of them check the same: a maintained table must hold the same bag of rows as its view's query returns, whatever
//! statements ran before and whatever other sessions do.
//!
//! **Invariant:** this crate shares no code with the compiler or the extension. The expected result is always
//! PostgreSQL's own answer to the view's query.

pub mod bag;
pub mod dice;
pub mod faults;
pub mod history;
pub mod isolation;
pub mod online;
pub mod pg;
pub mod random;
pub mod readers;
pub mod tally;
pub mod target;
