//! The tables, views and statements of a history.

use crate::dice::Dice;

pub const TABLES: &str = "
CREATE TABLE accounts (id int PRIMARY KEY, branch int, balance int NOT NULL);
CREATE TABLE moves (id bigserial, account int REFERENCES accounts ON DELETE CASCADE, amount int, note text);
CREATE TABLE branches (id int, name text);
CREATE INDEX ON moves (account);
INSERT INTO accounts SELECT i, i % 4, 100 FROM generate_series(1, 24) AS i;
INSERT INTO branches VALUES (0, 'north'), (1, 'south'), (2, 'east'), (3, NULL);
";

pub const VIEWS: [(&str, &str); 7] = [
    ("balances", "SELECT branch, sum(balance) AS total, count(*) AS n FROM accounts GROUP BY branch"),
    (
        "amounts",
        "SELECT account, min(amount) AS low, max(amount) AS high, avg(amount) AS mean FROM moves GROUP BY account",
    ),
    (
        "notes",
        "SELECT note, count(DISTINCT account) AS accounts, array_agg(amount ORDER BY amount) AS amounts FROM moves GROUP BY note",
    ),
    (
        "by_branch",
        "SELECT b.name, sum(m.amount) AS total, count(*) AS n FROM moves m JOIN accounts a ON a.id = m.account \
         JOIN branches b ON b.id = a.branch GROUP BY b.name",
    ),
    ("large", "SELECT m.note, a.branch FROM moves m, accounts a WHERE a.id = m.account AND m.amount > 5"),
    ("everything", "SELECT count(*) AS n, sum(amount) AS total, stddev(amount) AS spread FROM moves"),
    (
        "silent",
        "SELECT a.id, count(m.id) AS n FROM accounts a LEFT JOIN moves m ON m.account = a.id WHERE a.branch = 1 GROUP BY a.id",
    ),
];

/// One change; tables stay small because deletes keep up with inserts.
pub fn statement(dice: &mut Dice) -> String {
    let (account, branch) = (dice.range(1, 26), dice.range(0, 4));
    let amount = dice.range(-3, 12);
    let note = *dice.pick(&["'x'", "'y'", "'z'", "NULL"]);
    match dice.weighted(&[(20, 0), (8, 1), (8, 2), (10, 3), (5, 4), (4, 5), (3, 6), (2, 7), (2, 8), (4, 9), (2, 10)]) {
        0 => format!("INSERT INTO moves (account, amount, note) VALUES ({account}, {amount}, {note})"),
        1 => format!("UPDATE accounts SET balance = balance + {amount} WHERE id = {account}"),
        2 => format!("UPDATE moves SET amount = {amount} WHERE account = {account} AND id % 2 = 0"),
        3 => format!("DELETE FROM moves WHERE account = {account}"),
        4 => format!("UPDATE accounts SET branch = {branch} WHERE id = {account}"),
        5 => format!(
            "INSERT INTO accounts VALUES ({account}, {branch}, 50) ON CONFLICT (id) DO UPDATE SET balance = accounts.balance + 1"
        ),
        6 => format!("DELETE FROM accounts WHERE id = {account}"),
        7 => format!("INSERT INTO branches VALUES ({branch}, {note})"),
        8 => {
            format!("DELETE FROM branches WHERE id = {branch} AND name IS NOT DISTINCT FROM {note}")
        }
        9 => format!(
            "WITH m AS (DELETE FROM moves WHERE account = {account} RETURNING amount) \
             UPDATE accounts SET balance = balance + (SELECT count(*) FROM m) WHERE id = {account}"
        ),
        _ => format!(
            "INSERT INTO moves (account, amount, note) SELECT id, {amount}, {note} FROM accounts WHERE branch = {branch}"
        ),
    }
}
