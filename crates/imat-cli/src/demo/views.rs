//! The materialized views of the demonstration: one per kind of question.

pub struct View {
    pub name: &'static str,
    /// What it is there to show, in two or three words.
    pub what: &'static str,
    pub query: &'static str,
}

pub const VIEWS: [View; 9] = [
    View {
        name: "carrier_month",
        what: "one table",
        query: "SELECT carrier, year, month, count(*) AS flights, sum(distance) AS miles
                FROM flights GROUP BY carrier, year, month",
    },
    View {
        name: "airline_manufacturer",
        what: "join of three",
        query: "SELECT a.name AS airline, p.manufacturer, count(*) AS flights, sum(f.air_time) AS minutes
                FROM flights f
                JOIN airlines a ON a.carrier = f.carrier
                JOIN planes p ON p.tailnum = f.tailnum
                GROUP BY a.name, p.manufacturer",
    },
    View {
        name: "late_departures",
        what: "join of three, rows",
        query: "SELECT f.time_hour, a.name AS airline, f.flight, d.name AS destination, f.dep_delay
                FROM flights f
                JOIN airlines a USING (carrier)
                JOIN airports d ON d.faa = f.dest
                WHERE f.dep_delay > 120",
    },
    View {
        name: "delay_by_visibility",
        what: "join, avg, FILTER",
        query: "SELECT o.name AS airport, w.visib, avg(f.dep_delay) AS delay,
                       count(*) FILTER (WHERE f.dep_time IS NULL) AS cancelled
                FROM flights f
                JOIN weather w ON w.origin = f.origin AND w.time_hour = f.time_hour
                JOIN airports o ON o.faa = f.origin
                GROUP BY o.name, w.visib",
    },
    View {
        name: "departures_by_hour",
        what: "hour bucket",
        query: "SELECT date_trunc('hour', f.time_hour) AS hour, origin, count(*) AS flights
                FROM flights f GROUP BY 1, 2",
    },
    View {
        name: "busy_days",
        what: "day bucket, HAVING",
        query: "SELECT date_trunc('day', time_hour AT TIME ZONE 'America/New_York') AS day,
                       count(*) AS flights, sum(distance) AS miles
                FROM flights GROUP BY 1 HAVING count(*) > 900",
    },
    View {
        name: "delay_by_origin",
        what: "averages",
        query: "SELECT origin, month, avg(dep_delay) AS departure, round(avg(arr_delay), 2) AS arrival,
                       stddev(arr_delay) AS spread
                FROM flights GROUP BY origin, month",
    },
    View {
        name: "route_extremes",
        what: "min, max",
        query: "SELECT origin, dest, min(air_time) AS fastest, max(air_time) AS slowest,
                       max(dep_delay) AS worst_delay
                FROM flights GROUP BY origin, dest",
    },
    View {
        name: "fleet",
        what: "count(DISTINCT)",
        query: "SELECT carrier, count(DISTINCT tailnum) AS planes FROM flights GROUP BY carrier",
    },
];
