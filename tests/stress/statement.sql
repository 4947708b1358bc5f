\set kind random(1, 14)
\set a random(1, 40)
\set b random(1, 16)
\set c random(1, 9)
\if :kind = 1
INSERT INTO lines VALUES (:a, :b);
\elif :kind = 2
DELETE FROM lines WHERE ctid = (SELECT ctid FROM lines WHERE ord = :a LIMIT 1);
\elif :kind = 3
UPDATE orders SET customer = :b WHERE id = :a;
\elif :kind = 4
UPDATE orders SET clerk = :b WHERE id = :a;
\elif :kind = 5
UPDATE customers SET city = :c WHERE id = :b;
\elif :kind = 6
UPDATE cities SET country = :b WHERE name = :c;
\elif :kind = 7
DELETE FROM customers WHERE id = :b;
\elif :kind = 8
INSERT INTO customers VALUES (:b, :c, :a) ON CONFLICT DO NOTHING;
\elif :kind = 9
DELETE FROM cities WHERE name = :c;
\elif :kind = 10
INSERT INTO cities VALUES (:c, :b) ON CONFLICT DO NOTHING;
\elif :kind = 11
UPDATE staff SET boss = :b, pay = :a WHERE id = :c;
\elif :kind = 12
INSERT INTO staff VALUES (:b, :c, :a) ON CONFLICT DO NOTHING;
\elif :kind = 13
DELETE FROM staff WHERE id = :b;
\elif :kind = 14
INSERT INTO orders VALUES (:a, :b, :c, 1) ON CONFLICT DO NOTHING;
\endif
