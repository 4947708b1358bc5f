//! The errors of expressions that read the clock.

use imat_compile::error::Error;

use super::UNSUPPORTED;

pub fn reads_clock(word: &str) -> Error {
    Error::new(UNSUPPORTED, format!("cannot keep what \"{word}\" is as a date or time"))
        .detail(
            "A maintained table casts this text to a date or time. It would be another one tomorrow, \
             and a stored row would become wrong without any change to the view's tables.",
        )
        .hint("Write the date or time itself instead of the word, or leave such rows out in the view's WHERE clause.")
}

pub fn cast_below(view: &str) -> Error {
    Error::new(UNSUPPORTED, format!("cannot maintain a view over {view}, which casts text to a date or time"))
        .detail(
            "The cast reads the clock for texts such as \"today\". Only in the view itself such texts can be refused.",
        )
        .hint(format!("Write the query of {view} in its place, as a subquery."))
}

pub fn session_value() -> Error {
    Error::new(UNSUPPORTED, "cannot maintain a view that reads the current date, time, user or a sequence")
        .detail("A stored row could become wrong without any change to the view's tables.")
        .hint("Compare with it in a query over the maintained table instead.")
}
