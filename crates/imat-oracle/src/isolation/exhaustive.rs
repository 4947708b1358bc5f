use super::*;
use postgres::Client;
pub fn run(_c: &mut Client, _o: &Options, _l: &[Level], _n: u64) -> Result<Tally> { Ok(Tally::default()) }
