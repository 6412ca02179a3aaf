//! What promotions took off, itemised.
//!
//! **Invariants:** a share is more than nothing and of one line; shares are in order of line. All
//! shares of a line together are its discount: whoever keeps both holds them against each other.

use serde::{Deserialize, Serialize};

use crate::domain::heap;
use crate::domain::names::{Label, PromotionId};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discount {
    pub promotion: PromotionId,
    /// As it was called when it was granted.
    pub name: Label,
    pub granted: Granted,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Granted {
    OfItems(Shares),
    /// What shipping would have cost; zero while nobody chose how to ship.
    OfShipping {
        minor: i64,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Share>")]
pub struct Shares(Box<[Share]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Counted from zero.
    pub line: u16,
    /// In minor units.
    pub minor: i64,
}

/// Of bytes that this program did not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shares of a discount are not above zero and in order of line")]
pub struct InvalidShares;

impl TryFrom<Vec<Share>> for Shares {
    type Error = InvalidShares;

    fn try_from(shares: Vec<Share>) -> Result<Self, InvalidShares> {
        let is_strict = shares.is_sorted_by(|left, right| left.line < right.line);
        if is_strict && shares.iter().all(|share| share.minor > 0) {
            Ok(Self(shares.into_boxed_slice()))
        } else {
            Err(InvalidShares)
        }
    }
}

impl Shares {
    /// Of what is taken from each line, in order.
    pub(super) fn of(taken: &[i64]) -> Self {
        let shares = (0..).zip(taken).filter(|(_, minor)| **minor > 0);
        Self(shares.map(|(line, minor)| Share { line, minor: *minor }).collect())
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = Share> {
        self.0.iter().copied()
    }

    fn without(&self, dropped: &[usize]) -> Self {
        let kept = self.iter().filter(|share| !dropped.contains(&usize::from(share.line)));
        Self(kept.collect())
    }
}

impl Discount {
    /// How many are granted to one cart or order.
    pub const COUNT_MAX: usize = 16;

    /// What it comes to, in minor units.
    pub fn minor(&self) -> i64 {
        match &self.granted {
            Granted::OfItems(shares) => {
                shares.iter().fold(0, |sum, share| sum.saturating_add(share.minor))
            }
            Granted::OfShipping { minor } => *minor,
        }
    }

    pub(super) fn of_shipping(&mut self) -> Option<&mut i64> {
        match &mut self.granted {
            Granted::OfShipping { minor } => Some(minor),
            Granted::OfItems(_) => None,
        }
    }

    /// As it is before anybody chose how to ship.
    #[must_use]
    pub(crate) fn before_shipping(self) -> Self {
        let granted = match self.granted {
            Granted::OfShipping { minor: _ } => Granted::OfShipping { minor: 0 },
            items @ Granted::OfItems(_) => items,
        };
        Self { granted, ..self }
    }

    /// The rest of it, when some lines are not bought.
    #[must_use]
    pub(crate) fn without(&self, dropped: &[usize]) -> Self {
        let granted = match &self.granted {
            Granted::OfItems(shares) => Granted::OfItems(shares.without(dropped)),
            shipping @ Granted::OfShipping { .. } => shipping.clone(),
        };
        Self { granted, ..self.clone() }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let of_shares = match &self.granted {
            Granted::OfItems(shares) => heap::allocation(size_of_val(&*shares.0)),
            Granted::OfShipping { .. } => 0,
        };
        heap::allocation(self.promotion.as_str().len())
            + heap::allocation(self.name.as_str().len())
            + of_shares
    }
}

/// What discounts take off each of so many lines; `None` where one is off a line that is not there,
/// or the sum is too large.
pub(crate) fn by_line(discounts: &[Discount], n_lines: usize) -> Option<Vec<i64>> {
    let mut taken = vec![0_i64; n_lines];
    for discount in discounts {
        let Granted::OfItems(shares) = &discount.granted else { continue };
        for share in shares.iter() {
            let line = taken.get_mut(usize::from(share.line))?;
            *line = line.checked_add(share.minor)?;
        }
    }
    Some(taken)
}
