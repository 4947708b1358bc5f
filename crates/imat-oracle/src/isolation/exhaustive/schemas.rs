//! Small schemas and the changes that transactions make to them.

pub struct Schema {
    pub name: &'static str,
    pub tables: &'static str,
    /// SQL that restores the rows; the maintained tables follow.
    pub rows: &'static str,
    /// Maintained together. The sets are small, because the locks of one view can hide a missing lock of another.
    pub views: &'static [(&'static str, &'static str)],
    /// With their weights. `{id}`, `{k}` and `{v}` stand for small numbers.
    pub changes: &'static [(u32, &'static str)],
    pub reads: &'static str,
    /// The SQLSTATEs of constraints that random data can violate.
    pub codes: &'static [&'static str],
}

const AB: &str = "CREATE TABLE a (id int, k int, v int); CREATE TABLE b (id int, k int, w int);";

const ROWS: &str = "DELETE FROM a; DELETE FROM b; INSERT INTO a VALUES (1, 1, 5), (2, 1, 9), (3, 2, 5); \
                    INSERT INTO b VALUES (1, 1, 10), (2, 2, 20), (3, 2, 30)";

const ONE: &[(u32, &str)] = &[
    (8, "INSERT INTO a VALUES ({id}, {k}, {v})"),
    (4, "DELETE FROM a WHERE id = {id}"),
    (3, "UPDATE a SET k = {k} WHERE id = {id}"),
    (2, "UPDATE a SET v = {v} WHERE id = {id}"),
    (3, "DELETE FROM a WHERE k = {k}"),
    (1, "INSERT INTO a VALUES ({id}, 3, {v}), ({id}, 1, {v}), ({id}, 2, {v})"),
    (1, "TRUNCATE a"),
];

const BOTH: &[(u32, &str)] = &[
    (6, "INSERT INTO a VALUES ({id}, {k}, {v})"),
    (5, "INSERT INTO b VALUES ({id}, {k}, {v})"),
    (3, "DELETE FROM a WHERE id = {id}"),
    (3, "DELETE FROM b WHERE id = {id}"),
    (2, "UPDATE a SET k = {k} WHERE id = {id}"),
    (2, "UPDATE b SET k = {k} WHERE id = {id}"),
    (2, "DELETE FROM a WHERE k = {k}"),
    (2, "DELETE FROM b WHERE k = {k}"),
    (2, "WITH x AS (INSERT INTO a VALUES ({id}, {k}, {v})) INSERT INTO b VALUES ({id}, {k}, {v})"),
    (1, "WITH x AS (DELETE FROM b WHERE k = {k}) UPDATE a SET k = {k} WHERE id = {id}"),
    (1, "TRUNCATE b"),
];

const fn of_both(name: &'static str, views: &'static [(&'static str, &'static str)]) -> Schema {
    Schema { name, tables: AB, rows: ROWS, views, changes: BOTH, reads: "a, b", codes: &[] }
}

const fn of_one(name: &'static str, views: &'static [(&'static str, &'static str)]) -> Schema {
    Schema { name, tables: AB, rows: ROWS, views, changes: ONE, reads: "a", codes: &[] }
}

pub const SCHEMAS: [Schema; 14] = [
    of_one("group", &[("sums", "SELECT k, sum(v) AS s, count(*) AS n FROM a GROUP BY k")]),
    // Few rows in few groups, so that groups often become empty and are created again.
    Schema {
        name: "zero",
        tables: AB,
        rows: "DELETE FROM a; INSERT INTO a VALUES (1, 1, 5)",
        views: &[("sums", "SELECT k, sum(v) AS s FROM a GROUP BY k"), ("rows", "SELECT k, v FROM a WHERE v > 1")],
        changes: &[
            (6, "INSERT INTO a VALUES ({id}, 1, {v})"),
            (4, "DELETE FROM a WHERE k = 1"),
            (2, "INSERT INTO a VALUES ({id}, 2, {v})"),
            (2, "UPDATE a SET k = 3 - k"),
        ],
        reads: "a",
        codes: &[],
    },
    of_one("extremes", &[("extremes", "SELECT k, min(v) AS low, max(v) AS high FROM a GROUP BY k")]),
    of_one(
        "lists",
        &[
            ("overall", "SELECT count(*) AS n, avg(v) AS v, max(v) AS high FROM a"),
            ("lists", "SELECT k, array_agg(v ORDER BY v, id) AS vs, count(DISTINCT v) AS kinds FROM a GROUP BY k"),
        ],
    ),
    of_both(
        "join",
        &[("joined", "SELECT a.k, sum(a.v * b.w) AS s, count(*) AS n FROM a JOIN b ON a.k = b.k GROUP BY a.k")],
    ),
    of_both("pairs", &[("pairs", "SELECT a.v, b.w FROM a, b WHERE a.k = b.k")]),
    of_both("inequality", &[("less", "SELECT a.k, count(*) AS n FROM a JOIN b ON a.k < b.k GROUP BY a.k")]),
    of_both(
        "join extremes",
        &[(
            "joined lows",
            "SELECT b.k, min(a.v) AS low, array_agg(b.w ORDER BY b.w) AS ws FROM b JOIN a ON a.k = b.k GROUP BY b.k",
        )],
    ),
    of_one("self-join", &[("twins", "SELECT x.k, count(*) AS n FROM a x JOIN a y ON x.k = y.v - 4 GROUP BY x.k")]),
    Schema {
        name: "three-way",
        tables: "CREATE TABLE a (id int, k int, v int); CREATE TABLE b (id int, k int, w int); CREATE TABLE c (id int, w int);",
        rows: "DELETE FROM a; DELETE FROM b; DELETE FROM c; INSERT INTO a VALUES (1, 1, 5), (2, 2, 9); \
               INSERT INTO b VALUES (1, 1, 1), (2, 2, 5); INSERT INTO c VALUES (1, 1), (2, 6)",
        views: &[(
            "chain",
            "SELECT c.id, count(*) AS n, sum(a.v) AS v FROM a JOIN b ON b.k = a.k JOIN c ON c.w = b.w GROUP BY c.id",
        )],
        changes: &[
            (4, "INSERT INTO a VALUES ({id}, {k}, {v})"),
            (4, "INSERT INTO b VALUES ({id}, {k}, {v})"),
            (4, "INSERT INTO c VALUES ({id}, {v})"),
            (2, "DELETE FROM a WHERE k = {k}"),
            (2, "DELETE FROM b WHERE k = {k}"),
            (2, "DELETE FROM c WHERE id = {id}"),
            (2, "UPDATE b SET w = {v} WHERE k = {k}"),
            (1, "UPDATE c SET w = {v} WHERE id = {id}"),
        ],
        reads: "a, b, c",
        codes: &[],
    },
    of_both("whole", &[("outer rows", "SELECT a.id, b.w FROM a LEFT JOIN b ON a.k = b.k")]),
    of_both(
        "distinct",
        &[
            ("keys", "SELECT DISTINCT k FROM a"),
            ("kinds", "SELECT k, count(DISTINCT w) AS n FROM b GROUP BY k HAVING count(*) > 1"),
        ],
    ),
    Schema {
        name: "cascade",
        tables: "CREATE TABLE p (id int PRIMARY KEY, v int); \
                 CREATE TABLE c (id int, k int REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE, v int);",
        rows: "DELETE FROM p; INSERT INTO p VALUES (1, 1), (2, 5); INSERT INTO c VALUES (1, 1, 5), (2, 1, 9), (3, 2, 5)",
        views: &[("families", "SELECT p.v, sum(c.v) AS s, count(*) AS n FROM p JOIN c ON c.k = p.id GROUP BY p.v")],
        changes: &[
            (6, "INSERT INTO c VALUES ({id}, {k}, {v})"),
            (3, "DELETE FROM p WHERE id = {k}"),
            (3, "INSERT INTO p VALUES ({id}, {v}) ON CONFLICT DO NOTHING"),
            (2, "UPDATE c SET k = {k} WHERE id = {id}"),
            (2, "UPDATE p SET v = {v} WHERE id = {k}"),
            (2, "DELETE FROM c WHERE k = {k}"),
            (1, "UPDATE p SET id = 4 WHERE id = {k}"),
        ],
        reads: "p, c",
        codes: &["23503", "23505"],
    },
    Schema {
        name: "stacked",
        tables: AB,
        rows: ROWS,
        views: &[
            ("below", "SELECT k, sum(v) AS s, min(v) AS low FROM a GROUP BY k"),
            ("above", "SELECT low, max(s) AS most, count(*) AS n FROM imat.below GROUP BY low"),
            ("beside", "SELECT b.w, t.s FROM b JOIN imat.below t ON t.k = b.k"),
        ],
        changes: BOTH,
        reads: "a, b",
        codes: &[],
    },
];
