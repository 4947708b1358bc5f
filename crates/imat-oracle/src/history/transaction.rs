//! A client's random transaction, and the errors that it may meet.

use super::workload;
use crate::dice::Dice;

/// Prepared transactions of ours begin with this.
pub const PREPARED: &str = "imat-oracle";

pub struct Transaction {
    pub statements: Vec<String>,
    pub commits: bool,
    /// What it may fail with because of how it was begun.
    allowed: Vec<&'static str>,
}

/// Deadlock, cancel, an ended session, and constraints that random data breaks.
const ALWAYS: [&str; 6] = ["40P01", "57014", "57P01", "08006", "23503", "23505"];

/// A limit that is in force for a transaction, and what it fails with.
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
            // As many as the server was configured for are under way.
            allowed.push("53400");
        }
        Self { statements, commits: end < 80, allowed }
    }

    pub fn allows(&self, code: &str) -> bool {
        self.allowed.contains(&code)
    }
}

/// A statement, perhaps undone by a savepoint or by the block that it is in.
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
