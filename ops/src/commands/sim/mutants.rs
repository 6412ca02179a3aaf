//! Looking for the bugs that are planted on purpose: a simulator that misses one proves little.
//!
//! **Invariants:** each bug meets the same seeds, in their order, until one of them fails; a run in
//! which nothing happened does not count as found, nor does a seed that fails without the bug.

use std::io::Write;
use std::process::ExitCode;

use super::Request;
use crate::failure::{Exit, Failure};

#[cfg(not(feature = "mutants"))]
pub(super) fn find(_: &Request, _: &mut dyn Write) -> Result<ExitCode, Failure> {
    let why = "this program was built without planted bugs: build it with `--features mutants`";
    Err(Failure::new(Exit::Usage, anyhow::anyhow!(why)))
}

#[cfg(feature = "mutants")]
pub(super) use finding::find;

#[cfg(feature = "mutants")]
mod finding {
    use std::{fmt, panic};

    use actors::mutants::{Mutant as ShopMutant, plant as plant_in_shop};
    use cluster::mutants::{Planted as FabricMutant, plant as plant_in_fabric};
    use cluster::sim::run::{Failed, run};
    use serde_json::{Value, json};

    use super::super::seeds::{Spent, contained, run_all};
    use super::super::{Happened, line, workloads};
    use super::{Exit, ExitCode, Failure, Request, Write};

    /// A bug of what the shop is made of, or of what carries it.
    #[derive(Clone, Copy)]
    enum Planted {
        Fabric(FabricMutant),
        Shop(ShopMutant),
    }

    impl Planted {
        fn all() -> Vec<Self> {
            let fabric = FabricMutant::all().into_iter().map(Self::Fabric);
            fabric.chain(ShopMutant::ALL.iter().copied().map(Self::Shop)).collect()
        }
    }

    impl fmt::Display for Planted {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Self::Fabric(mutant) => mutant.fmt(f),
                Self::Shop(mutant) => write!(f, "{mutant:?}"),
            }
        }
    }

    fn plant(planted: Option<Planted>) {
        let (mut fabric, mut shop) = (None, None);
        match planted {
            Some(Planted::Fabric(mutant)) => fabric = Some(mutant),
            Some(Planted::Shop(mutant)) => shop = Some(mutant),
            None => {}
        }
        plant_in_fabric(fabric);
        plant_in_shop(shop);
    }

    pub(in super::super) fn find(
        request: &Request,
        out: &mut dyn Write,
    ) -> Result<ExitCode, Failure> {
        let spent = Spent::begin();
        // What a planted bug breaks may well panic.
        let hook = panic::take_hook();
        panic::set_hook(Box::new(|_| {}));
        let mut found = Vec::new();
        let all = Planted::all();
        let planted = |nth: u64| usize::try_from(nth).ok().and_then(|nth| all.get(nth)).copied();
        let jobs = 0..u64::try_from(all.len()).unwrap_or(0);
        let look = |nth| planted(nth).map_or(Ok(None), |planted| after_seeds(request, planted));
        let looked = run_all(jobs, request.threads, look, &mut |nth, after: Result<_, Failed>| {
            let name = planted(nth).map_or(String::new(), |planted| planted.to_string());
            let after =
                after.map_err(|why| Failure::new(Exit::Failed, anyhow::anyhow!("{why}")))?;
            let told = after.as_ref().map_or_else(
                || format!("{name}: not found"),
                |(n, why): &(u64, String)| format!("{name}: found after {n} seeds: {why}"),
            );
            found.push((name, after.map(|(n, _)| n)));
            line(out, &told)
        });
        panic::set_hook(hook);
        looked?;
        let survived: Vec<_> =
            found.iter().filter(|(_, after)| after.is_none()).map(|(name, _)| name).collect();
        let result = json!({
            "seeds": request.seeds.end - request.seeds.start,
            "first_seed": request.seeds.start,
            "planted": found.len(),
            "found": found.len() - survived.len(),
            "survived": survived,
            "cpu_ms": spent.cpu_ms(),
            "wall_ms": spent.wall_ms(),
            "mutants": found.iter().map(|(name, after)| (name.clone(), json!(after)))
                .collect::<serde_json::Map<String, Value>>(),
        });
        line(out, &result.to_string())?;
        Ok(if survived.is_empty() { ExitCode::SUCCESS } else { Exit::Failed.into() })
    }

    /// After how many seeds a bug is found, and by what.
    fn after_seeds(request: &Request, planted: Planted) -> Result<Option<(u64, String)>, Failed> {
        for (n, seed) in (1..).zip(request.seeds.clone()) {
            let Err(Failed::Violation(why)) = with(Some(planted), request, seed) else { continue };
            match with(None, request, seed) {
                Ok(()) => return Ok(Some((n, first_line(&why)))),
                Err(Failed::Idle(_)) => {}
                Err(by_itself @ Failed::Violation(_)) => return Err(by_itself),
            }
        }
        Ok(None)
    }

    fn with(planted: Option<Planted>, request: &Request, seed: u64) -> Result<(), Failed> {
        plant(planted);
        let ended = contained(|| run(seed, request.options, workloads(&Happened::default()), None));
        plant(None);
        ended.map(drop)
    }

    fn first_line(why: &str) -> String {
        const CHARS_MAX: usize = 160;
        why.lines().next().unwrap_or_default().chars().take(CHARS_MAX).collect()
    }
}
