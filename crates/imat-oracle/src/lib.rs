//! Checks of pg_imat against a live server: random views under random changes, interleaved
//! transactions, and concurrent histories.
//!
//! Every check has one meaning: a maintained table must hold the same bag of rows as its view's
//! query, whatever statement ran before and whatever other sessions do.
//!
//! **Invariant:** nothing here shares code with the compiler or the extension; what is expected is
//! always PostgreSQL's own answer to the view's query.

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
