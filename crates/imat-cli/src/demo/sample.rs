//! A small generated stand-in for nycflights13, the same in every run.

use crate::stats::Random;
use std::fmt::Write;

const AIRLINES: [(&str, &str); 6] = [
    ("AA", "American Airlines Inc."),
    ("B6", "JetBlue Airways"),
    ("DL", "Delta Air Lines Inc."),
    ("EV", "ExpressJet Airlines Inc."),
    ("UA", "United Air Lines Inc."),
    ("WN", "Southwest Airlines Co."),
];
const ORIGINS: [&str; 3] = ["EWR", "JFK", "LGA"];
const DESTINATIONS: [(&str, u64); 8] = [
    ("ATL", 760),
    ("BOS", 190),
    ("DEN", 1610),
    ("IAH", 1410),
    ("LAX", 2460),
    ("MIA", 1090),
    ("ORD", 730),
    // Like San Juan in the real data: flown to, but not among the airports.
    ("SJU", 1600),
];
const MAKERS: [&str; 4] = ["AIRBUS", "BOEING", "BOMBARDIER INC", "EMBRAER"];
const PLANES: u64 = 120;
const FLIGHTS: u64 = 6_000;
const DAYS: u64 = 28;

/// One table as a CSV file with a header, NA for NULL, as the real files have it.
pub fn csv(table: &str) -> String {
    match table {
        "airlines" => airlines(),
        "airports" => airports(),
        "planes" => planes(),
        "weather" => weather(),
        _ => flights(),
    }
}

fn airlines() -> String {
    let mut out = String::from("carrier,name\n");
    for (carrier, name) in AIRLINES {
        let _ = writeln!(out, "{carrier},{name}");
    }
    out
}

fn airports() -> String {
    let mut out = String::from("faa,name,lat,lon,alt,tz,dst,tzone\n");
    let known = DESTINATIONS.iter().map(|(faa, _)| *faa).filter(|faa| *faa != "SJU");
    for (index, faa) in ORIGINS.into_iter().chain(known).enumerate() {
        let _ = writeln!(out, "{faa},Airport {faa},{},-{},{},-5,A,NA", 30 + index, 70 + index, 10 * index);
    }
    out
}

fn planes() -> String {
    let mut random = Random::new(3);
    let mut out = String::from("tailnum,year,type,manufacturer,model,engines,seats,speed,engine\n");
    for plane in 0..PLANES {
        let (maker, year) = (random.pick(&MAKERS), 1990 + random.below(23));
        let _ = writeln!(out, "N{plane:03},{year},Fixed wing multi engine,{maker},M,2,150,NA,Turbo-fan");
    }
    out
}

fn weather() -> String {
    let mut random = Random::new(4);
    let mut out = String::from(
        "origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour\n",
    );
    for origin in ORIGINS {
        for hour in 0..DAYS * 24 {
            let (day, hour) = (hour / 24 + 1, hour % 24);
            let visib = *random.pick(&["10", "9", "6", "2.5", "0.25"]);
            let _ = writeln!(
                out,
                "{origin},2013,1,{day},{hour},39.02,26.06,59,270,10.3,NA,0,1012,{visib},2013-01-{day:02}T{hour:02}:00:00Z"
            );
        }
    }
    out
}

fn flights() -> String {
    let mut random = Random::new(5);
    let mut out = String::from(
        "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,\
         origin,dest,air_time,distance,hour,minute,time_hour\n",
    );
    for flight in 1..=FLIGHTS {
        let (day, hour) = (random.below(DAYS) + 1, 5 + random.below(18));
        let (carrier, origin) = (random.pick(&AIRLINES).0, *random.pick(&ORIGINS));
        let (dest, distance) = *random.pick(&DESTINATIONS);
        let tail = random.below(PLANES + 10);
        let tail = if tail < PLANES { format!("N{tail:03}") } else { "NA".to_owned() };
        let at = hour * 100;
        let flown = if random.below(40) == 0 {
            ["NA"; 5].map(str::to_owned)
        } else {
            let delay = random.below(160) as i64 - 10;
            let minutes = distance / 8 + random.below(30);
            [at as i64 + 5, delay, at as i64 + 200, delay - 3, minutes as i64].map(|n| n.to_string())
        };
        let [dep_time, dep_delay, arr_time, arr_delay, air_time] = flown;
        let _ = writeln!(
            out,
            "2013,1,{day},{dep_time},{at},{dep_delay},{arr_time},{},{arr_delay},{carrier},{flight},{tail},{origin},{dest},\
             {air_time},{distance},{hour},0,2013-01-{day:02}T{hour:02}:00:00Z",
            at + 200
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_as_many_fields_as_its_header() {
        for table in ["airlines", "airports", "planes", "weather", "flights"] {
            let csv = csv(table);
            let fields = |line: &str| line.split(',').count();
            let header = fields(csv.lines().next().expect("a header"));
            assert!(csv.lines().count() > 5, "{table}");
            assert!(csv.lines().all(|line| fields(line) == header), "{table}");
        }
    }
}
