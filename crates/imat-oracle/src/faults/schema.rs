//! The tables, views and statements under which faults are injected, and the injector.

/// The schema of the tables under test.
pub const SCHEMA: &str = "oracle_faults";

/// `tick` returns its argument, but the call with the number in `target` fails, in the way given by `kind`. All three
/// are sequences, because those survive rollbacks. The function is declared immutable, so that a view may call it;
/// every step of a flush then does.
pub const INJECTOR: &str = "
CREATE SEQUENCE calls; CREATE SEQUENCE target MINVALUE 0; CREATE SEQUENCE kind MINVALUE 0;
CREATE FUNCTION tick(v int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF nextval('oracle_faults.calls') = (SELECT last_value FROM oracle_faults.target) THEN
    CASE (SELECT last_value FROM oracle_faults.kind)
      WHEN 0 THEN RAISE EXCEPTION 'injected' USING ERRCODE = 'IM001';
      WHEN 1 THEN PERFORM pg_cancel_backend(pg_backend_pid()), pg_sleep(30);
      WHEN 2 THEN PERFORM pg_sleep(30);
      WHEN 3 THEN PERFORM pg_advisory_xact_lock(7);
      WHEN 4 THEN PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(30);
    END CASE;
  END IF;
  RETURN v;
END $$;
CREATE FUNCTION tick() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- Of no constant, which would be computed once.
  PERFORM oracle_faults.tick(pg_trigger_depth());
  RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;";

pub const TABLES: &str = "
CREATE TABLE customers (id int PRIMARY KEY, name text);
CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers ON DELETE CASCADE, amount int);
CREATE INDEX ON orders (customer);
CREATE TABLE parts (region int, amount int) PARTITION BY LIST (region);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts_2 PARTITION OF parts DEFAULT;
CREATE TABLE calls_of (id int, result int);";

/// The rows of the base tables before each fault.
pub const ROWS: &str = "
DELETE FROM orders; DELETE FROM customers; DELETE FROM parts; DELETE FROM calls_of;
INSERT INTO customers VALUES (1, 'ada'), (2, 'bob'), (3, 'bob');
INSERT INTO orders VALUES (1, 1, 10), (2, 1, 20), (3, 2, 5), (4, 3, 5);
INSERT INTO parts VALUES (1, 10), (1, 20), (2, 5);";

/// Calls on rows before and after they change, and on each row of the states.
pub const BASE_TRIGGERS: &str = "
CREATE TRIGGER tick_before BEFORE INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION tick();
CREATE TRIGGER tick_after AFTER INSERT OR UPDATE OR DELETE ON customers FOR EACH ROW EXECUTE FUNCTION tick();
CREATE TRIGGER tick_after AFTER INSERT OR UPDATE OR DELETE ON parts FOR EACH ROW EXECUTE FUNCTION tick();";

pub const STATE_TRIGGERS: &str = "
DO $$ DECLARE s regclass; BEGIN
  FOR s IN SELECT state FROM imat_catalog.imat LOOP
    EXECUTE format('CREATE TRIGGER zz_tick AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION oracle_faults.tick()', s);
  END LOOP;
END $$";

/// Views that are maintained together. Small sets, so that the number of a call identifies the place.
pub const SETS: [(&str, &[(&str, &str)]); 6] = [
    (
        "arithmetic",
        &[
            ("sums", "SELECT customer, sum(tick(amount)) AS total, count(*) AS n FROM orders GROUP BY customer"),
            ("rows", "SELECT customer, tick(amount % 10) AS digit FROM orders WHERE amount > 1"),
        ],
    ),
    (
        "join",
        &[
            (
                "by_name",
                "SELECT c.name, sum(tick(o.amount)) AS total, count(*) AS n FROM orders o \
                 JOIN customers c ON c.id = o.customer GROUP BY c.name",
            ),
            (
                "twins",
                "SELECT a.id, b.id AS other FROM customers a JOIN customers b ON a.name = b.name AND tick(a.id) < b.id",
            ),
        ],
    ),
    (
        "extremes",
        &[
            (
                "extremes",
                "SELECT customer, min(tick(amount)) AS low, max(amount) AS high, array_agg(amount ORDER BY amount, id) AS amounts \
                 FROM orders GROUP BY customer",
            ),
            ("kinds", "SELECT count(DISTINCT tick(amount)) AS n FROM orders"),
        ],
    ),
    (
        "whole",
        &[
            (
                "padded",
                "SELECT c.id, tick(o.amount) AS amount FROM customers c LEFT JOIN orders o ON o.customer = c.id",
            ),
            ("ranks", "SELECT id, rank() OVER (ORDER BY tick(amount)) AS place FROM orders"),
        ],
    ),
    (
        "stacked",
        &[
            ("below", "SELECT customer, sum(tick(amount)) AS total, min(amount) AS low FROM orders GROUP BY customer"),
            ("above", "SELECT tick(low) AS low, max(total) AS most, count(*) AS n FROM imat.below GROUP BY tick(low)"),
            ("beside", "SELECT c.name, b.total FROM customers c JOIN imat.below b ON b.customer = c.id"),
        ],
    ),
    (
        "partitioned",
        &[
            ("regions", "SELECT region, sum(tick(amount)) AS total, min(amount) AS low FROM parts GROUP BY region"),
            ("partners", "SELECT c.name, tick(p.amount) AS amount FROM parts p JOIN customers c ON c.id = p.region"),
        ],
    ),
];

/// The changes into which a fault is injected. Each works whether the others have succeeded or not.
pub const SCRIPT: [&str; 9] = [
    "INSERT INTO customers VALUES (7, 'eve') ON CONFLICT DO NOTHING",
    "INSERT INTO orders SELECT i, c.id, i FROM customers c, generate_series(20 + c.id * 2, 21 + c.id * 2) AS i \
     ON CONFLICT DO NOTHING",
    "UPDATE orders SET amount = amount + 1, customer = 2 WHERE id IN (1, 3)",
    "WITH gone AS (DELETE FROM orders WHERE amount < 7 RETURNING customer) \
     UPDATE customers SET name = name || '!' WHERE id IN (SELECT customer FROM gone)",
    "UPDATE parts SET region = 3 - region, amount = amount - 1 WHERE region < 3",
    "DELETE FROM parts WHERE amount < 10",
    "INSERT INTO calls_of SELECT 1, inner_changes()",
    "DELETE FROM customers WHERE id = 1",
    "TRUNCATE parts",
];

/// A function that a statement calls. Its changes are flushed at the end of the statement, or earlier, since it reads a
/// maintained table.
pub fn inner_changes(reads: &str) -> String {
    format!(
        "CREATE FUNCTION inner_changes() RETURNS int LANGUAGE plpgsql AS $$
         BEGIN
           BEGIN
             UPDATE orders SET amount = amount + 2 WHERE customer = 2;
             INSERT INTO parts VALUES (1, 3);
           EXCEPTION WHEN query_canceled OR OTHERS THEN
             PERFORM oracle_faults.catch(SQLSTATE, SQLERRM);
           END;
           BEGIN
             DELETE FROM orders WHERE id = 4;
             PERFORM count(*) FROM {reads};
             UPDATE customers SET name = 'zoe' WHERE id = 3;
           EXCEPTION WHEN query_canceled OR OTHERS THEN
             PERFORM oracle_faults.catch(SQLSTATE, SQLERRM);
           END;
           RETURN 1;
         END $$;
         CREATE TRIGGER watched AFTER INSERT ON calls_of FOR EACH ROW EXECUTE FUNCTION tick()"
    )
}

/// Catches injected faults only.
pub const CATCH: &str = "
CREATE FUNCTION catch(code text, message text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF code NOT IN ('IM001', '57014', '55P03') THEN
    RAISE EXCEPTION 'after a fault: %: %', code, message USING ERRCODE = 'IM002';
  END IF;
END $$";

/// Further changes in the same session after a fault. They must work as usual.
pub const AFTERWARDS: [&str; 5] = [
    "INSERT INTO customers VALUES (9, 'bob') ON CONFLICT DO NOTHING",
    "INSERT INTO orders VALUES (90, 9, 1), (91, 2, 99) ON CONFLICT DO NOTHING",
    "UPDATE orders SET amount = amount - 3 WHERE customer IN (1, 2)",
    "DELETE FROM orders WHERE id % 2 = 0",
    "INSERT INTO parts VALUES (1, 7), (9, 9)",
];

/// Slightly more than the least work memory that can be set.
pub const LARGE: &str = "
INSERT INTO customers SELECT i, 'n' || i % 50 FROM generate_series(1000, 1400) AS i;
INSERT INTO orders SELECT i, 1000 + i % 400, i % 97 FROM generate_series(1000, 9000) AS i;
INSERT INTO parts SELECT i % 40, i FROM generate_series(1, 9000) AS i;";
