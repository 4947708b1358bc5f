-- Triggers on the subscriber, which fire before pg_imat's.
\set ON_ERROR_STOP on
CREATE TABLE seen (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sale int, total bigint);
ALTER TABLE seen OWNER TO regress_replicated;
CREATE VIEW seen_sales AS SELECT s.customer, count(*) AS n, max(s.amount) AS most FROM seen JOIN sale AS s ON s.id = seen.sale GROUP BY s.customer;
CREATE VIEW seen_parts AS SELECT p.k, count(*) AS n FROM seen JOIN part AS p ON p.id = seen.sale GROUP BY p.k;
CREATE VIEW seen_total AS SELECT count(*) AS n FROM seen;
ALTER VIEW seen_sales OWNER TO regress_replicated;
ALTER VIEW seen_total OWNER TO regress_replicated;
SELECT create_imat('seen_sales'), create_imat('seen_parts'), create_imat('seen_total');
-- Writes the table that is joined with the row's table, in subtransactions, and reads maintained tables over both.
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE found bigint;
BEGIN
    SELECT count(*) INTO found FROM imat.seen_sales;
    BEGIN
        INSERT INTO public.seen (sale, total) VALUES (coalesce(NEW.id, OLD.id), found);
        IF TG_OP = 'DELETE' THEN
            DELETE FROM public.seen WHERE sale = OLD.id;
        END IF;
        IF coalesce(NEW.id, OLD.id) % 5 = 0 THEN
            RAISE data_exception;
        END IF;
    EXCEPTION WHEN data_exception THEN
        PERFORM n FROM imat.seen_total;
    END;
    RETURN NULL;
END $$;
CREATE TRIGGER aaa AFTER INSERT OR UPDATE OR DELETE ON sale FOR EACH ROW EXECUTE FUNCTION see();
ALTER TABLE sale ENABLE REPLICA TRIGGER aaa;
CREATE TRIGGER aaa AFTER INSERT OR UPDATE OR DELETE ON part FOR EACH ROW EXECUTE FUNCTION see();
ALTER TABLE part ENABLE ALWAYS TRIGGER aaa;
ALTER TABLE part_1 ENABLE ALWAYS TRIGGER aaa;
ALTER TABLE part_2 ENABLE ALWAYS TRIGGER aaa;
