//! The tables, views and statements of a history.

use crate::dice::Dice;

pub const TABLES: &str = "
CREATE TABLE accounts (id int PRIMARY KEY, branch int, balance int NOT NULL);
CREATE TABLE moves (id bigserial, account int REFERENCES accounts ON DELETE CASCADE, amount int, note text);
CREATE TABLE branches (id int, name text);
CREATE TABLE links (a int, b int);
CREATE INDEX ON moves (account);
INSERT INTO accounts SELECT i, i % 4, 100 FROM generate_series(1, 24) AS i;
INSERT INTO branches VALUES (0, 'north'), (1, 'south'), (2, 'east'), (3, NULL);
INSERT INTO links SELECT i, i % 7 FROM generate_series(1, 12) AS i;
";

/// The last ones read maintained tables.
pub const VIEWS: [(&str, &str); 12] = [
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
    // There is no foreign key between these, so both sides insert keys that the other does not have yet.
    (
        "linked",
        "SELECT l.a, min(b.name) AS name, count(*) AS n, count(DISTINCT b.name) AS names FROM links l \
         JOIN branches b ON b.id = l.b GROUP BY l.a",
    ),
    ("steps", "SELECT x.a, y.b, count(*) AS n FROM links x JOIN links y ON y.a = x.b GROUP BY x.a, y.b"),
    ("everything", "SELECT count(*) AS n, sum(amount) AS total, stddev(amount) AS spread FROM moves"),
    (
        "silent",
        "SELECT a.id, count(m.id) AS n FROM accounts a LEFT JOIN moves m ON m.account = a.id WHERE a.branch = 1 GROUP BY a.id",
    ),
    ("rest", "SELECT id FROM branches EXCEPT ALL SELECT b FROM links"),
    ("spread", "SELECT min(total) AS low, max(total) AS high, count(*) AS n FROM imat.balances"),
    ("named", "SELECT b.name, t.total FROM branches b JOIN imat.balances t ON t.branch = b.id"),
];

/// One change. Tables stay small because there are as many deletes as inserts.
pub fn statement(dice: &mut Dice) -> String {
    let (account, branch) = (dice.range(1, 26), dice.range(0, 4));
    let amount = dice.range(-3, 12);
    let note = *dice.pick(&["'x'", "'y'", "'z'", "NULL"]);
    let kinds = [20, 8, 8, 10, 5, 4, 3, 2, 2, 4, 2, 4, 4, 2];
    let kinds: Vec<(u32, usize)> = kinds.into_iter().zip(0..).collect();
    match dice.weighted(&kinds) {
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
        10 => format!(
            "INSERT INTO moves (account, amount, note) SELECT id, {amount}, {note} FROM accounts WHERE branch = {branch}"
        ),
        11 => format!("INSERT INTO links VALUES ({}, {branch})", dice.range(1, 7)),
        12 => format!("DELETE FROM links WHERE a = {} OR b = {branch} AND a > 7", dice.range(1, 7)),
        _ => format!("UPDATE links SET b = {branch} WHERE a = {}", dice.range(1, 7)),
    }
}
