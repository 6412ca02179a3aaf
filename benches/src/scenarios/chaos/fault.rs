//! What is done to nodes and to the links between them.

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// kill -9, and a start on what is there.
    Kill,
    /// SIGSTOP for a while.
    Pause,
    /// One node is cut off from all others, both ways.
    Cut,
    /// One node hears others and is not heard, or the other way round.
    CutOneWay,
    /// All that one node says and hears is late.
    Slow,
    /// One node's disk has no space left.
    FullDisk,
    /// A sync fails, which ends the process.
    FailingFsync,
    /// kill -9, and a start with an empty folder.
    Wipe,
    /// kill -9, and a start without the state index.
    DeleteIndex,
    /// A node's clock is set wrong.
    Clock,
    /// SIGTERM and a new start, one node after the other.
    RollingRestart,
    /// One more node.
    Join,
    /// SIGTERM, and a new start after a while.
    Drain,
}

impl Fault {
    /// All that a real process can be made to suffer here.
    pub(crate) const DEFAULT: [Self; 12] = [
        Self::Kill,
        Self::Pause,
        Self::Cut,
        Self::CutOneWay,
        Self::Slow,
        Self::FullDisk,
        Self::FailingFsync,
        Self::Wipe,
        Self::DeleteIndex,
        Self::RollingRestart,
        Self::Join,
        Self::Drain,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Cut => "cut",
            Self::CutOneWay => "cut_one_way",
            Self::Slow => "slow",
            Self::FullDisk => "full_disk",
            Self::FailingFsync => "failing_fsync",
            Self::Wipe => "wipe",
            Self::DeleteIndex => "delete_index",
            Self::Clock => "clock",
            Self::RollingRestart => "rolling_restart",
            Self::Join => "join",
            Self::Drain => "drain",
        }
    }

    /// Whether it may strike one node while another fault lasts at another.
    pub(super) const fn comes_second(self) -> bool {
        match self {
            Self::Kill | Self::Pause | Self::Cut | Self::CutOneWay | Self::Slow | Self::Drain => {
                true
            }
            Self::FullDisk
            | Self::FailingFsync
            | Self::Wipe
            | Self::DeleteIndex
            | Self::Clock
            | Self::RollingRestart
            | Self::Join => false,
        }
    }

    /// Whether another fault may strike while this one lasts.
    pub(super) const fn lasts(self) -> bool {
        match self {
            Self::Kill
            | Self::Pause
            | Self::Cut
            | Self::CutOneWay
            | Self::Slow
            | Self::FullDisk
            | Self::FailingFsync
            | Self::Wipe
            | Self::DeleteIndex
            | Self::Drain => true,
            Self::Clock | Self::RollingRestart | Self::Join => false,
        }
    }
}

/// Refuses what cannot be brought about on this machine.
pub(super) fn possible(asked: &[Fault]) -> anyhow::Result<Vec<Fault>> {
    anyhow::ensure!(
        !asked.contains(&Fault::Clock),
        "a clock cannot be set for one process alone; simulated clusters are where clocks go wrong \
         (cluster/src/sim)"
    );
    let mut all = if asked.is_empty() { Fault::DEFAULT.to_vec() } else { asked.to_vec() };
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for fault in Fault::value_variants() {
            let value = fault.to_possible_value().unwrap();
            assert_eq!(value.get_name(), fault.name());
        }
    }

    #[test]
    fn clocks_are_refused_and_the_others_are_taken_once() {
        assert!(possible(&[Fault::Kill, Fault::Clock]).is_err());
        assert_eq!(possible(&[Fault::Wipe, Fault::Kill, Fault::Wipe]).unwrap().len(), 2);
        assert_eq!(possible(&[]).unwrap().len(), Fault::DEFAULT.len());
        assert_eq!(Fault::value_variants().len(), Fault::DEFAULT.len() + 1);
    }
}
