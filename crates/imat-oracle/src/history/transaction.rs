//! A client's random transaction, and the errors that it may get.

use super::workload;
use crate::dice::Dice;

/// The prefix of our prepared transactions.
pub const PREPARED: &str = "imat-oracle";

pub struct Transaction {
    pub statements: Vec<String>,
    pub commits: bool,
    /// The errors that it may get because of the way it was begun.
    allowed: Vec<&'static str>,
}

/// Deadlock, cancel, an ended session, and violated constraints.
const ALWAYS: [&str; 6] = ["40P01", "57014", "57P01", "08006", "23503", "23505"];

/// A limit for a transaction, and the error when it is exceeded.
const LIMITS: [(&str, &str, u32); 4] = [
    ("lock_timeout = '3ms'", "55P03", 0),
    ("statement_timeout = '10ms'", "57014", 0),
    ("idle_in_transaction_session_timeout = '1ms'", "25P03", 0),
    ("transaction_timeout = '15ms'", "25P04", 170_000),
];

impl Transaction {
    pub fn random(dice: &mut Dice, server: u32, gid: &str) -> Self {
        let level = *dice.pick(&["READ COMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]);
        let mut allowed = ALWAYS.to_vec();
        if level != "READ COMMITTED" {
            allowed.push("40001");
        }
        let mut statements = vec![format!("BEGIN ISOLATION LEVEL {level}")];
        let (limit, code, since) = *dice.pick(&LIMITS);
        if dice.chance(8) && server >= since {
            statements.push(format!("SET LOCAL {limit}"));
            allowed.push(code);
        }
        for _ in 0..*dice.pick(&[1, 1, 1, 2, 3, 4]) {
            change(dice, &mut statements);
        }
        let end = dice.index(100);
        statements.push(match end {
            0..75 => "COMMIT".into(),
            75..80 => format!("PREPARE TRANSACTION '{PREPARED} {gid}'"),
            _ => "ROLLBACK".into(),
        });
        if (75..80).contains(&end) {
            // The server's maximum of prepared transactions is reached.
            allowed.push("53400");
        }
        Self { statements, commits: end < 80, allowed }
    }

    pub fn allows(&self, code: &str) -> bool {
        self.allowed.contains(&code)
    }
}

/// A statement, possibly undone by a savepoint or by its block.
fn change(dice: &mut Dice, statements: &mut Vec<String>) {
    let statement = workload::statement(dice);
    match dice.index(20) {
        0 | 1 => statements.extend(["SAVEPOINT p".into(), statement, "ROLLBACK TO SAVEPOINT p".into()]),
        2 => statements.extend(["SAVEPOINT p".into(), statement, "RELEASE SAVEPOINT p".into()]),
        3 => statements.push(format!(
            "DO $$ BEGIN {statement}; BEGIN {}; PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END; {}; END $$",
            workload::statement(dice),
            workload::statement(dice)
        )),
        _ => statements.push(statement),
    }
}
