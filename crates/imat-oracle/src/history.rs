use crate::pg::Result; use crate::tally::Tally; use crate::target::Target;
pub struct Options { pub url: String, pub target: Target, pub seconds: u64, pub clients: u64, pub seed: u64 }
pub fn run(_o: &Options) -> Result<Tally> { Ok(Tally::default()) }
