//! The simulator's JSON: what it is asked, what it keeps, what it answers, what it says unasked.

use actors::domain::carrier::{
    Booking, BookingAnswer, BookingOutcome, BookingRefusal, BookingRequest, InvalidParcelReference,
    ParcelReference, Whereabouts,
};
use actors::domain::names::Label;
use serde::{Deserialize, Serialize};

use crate::providers::journal::Line;

/// One parcel to be booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parcel {
    pub(crate) parcel: Reference,
    pub(crate) attempt: u16,
    pub(crate) option: Option<String>,
    pub(crate) pieces: u32,
    pub(crate) to: Recipient,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recipient {
    pub(crate) name: String,
    pub(crate) line1: String,
    pub(crate) line2: Option<String>,
    pub(crate) city: String,
    pub(crate) region: Option<String>,
    pub(crate) postal_code: Option<String>,
    pub(crate) country: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Outcome {
    Booked { tracking: String, label_url: String },
    Refused { reason: Reason },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    NotServed,
    NotTaken,
}

/// One line of the ledger, and the body of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Counts from one, without a gap.
    pub(crate) number: u64,
    pub(crate) key: String,
    pub(crate) parcel: Parcel,
    pub(crate) outcome: Outcome,
}

/// What a notice says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoticeBody {
    pub(crate) event: String,
    pub(crate) parcel: Reference,
    pub(crate) place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    InTransit,
    OutForDelivery,
    NotHandedOver,
    Delivered,
}

impl Place {
    /// What a parcel sees on its way.
    pub(crate) const WAY: [Self; 3] = [Self::InTransit, Self::OutForDelivery, Self::Delivered];
}

impl From<Place> for Whereabouts {
    fn from(place: Place) -> Self {
        match place {
            Place::InTransit => Self::InTransit,
            Place::OutForDelivery => Self::OutForDelivery,
            Place::NotHandedOver => Self::NotHandedOver,
            Place::Delivered => Self::Delivered,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Reference(pub(crate) ParcelReference);

impl TryFrom<String> for Reference {
    type Error = InvalidParcelReference;

    fn try_from(text: String) -> Result<Self, InvalidParcelReference> {
        text.parse().map(Self)
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.0.to_string()
    }
}

impl From<&BookingRequest> for Parcel {
    fn from(request: &BookingRequest) -> Self {
        let BookingRequest { carrier: _, parcel, attempt, option, to, pieces } = request;
        let text = |label: &Label| label.as_str().to_owned();
        let to = Recipient {
            name: text(&to.name),
            line1: text(&to.line1),
            line2: to.line2.as_ref().map(text),
            city: text(&to.city),
            region: to.region.as_ref().map(|region| region.as_str().to_owned()),
            postal_code: to.postal_code.as_ref().map(text),
            country: to.country.as_str().to_owned(),
        };
        let option = option.as_ref().map(|option| option.as_str().to_owned());
        Self { parcel: Reference(*parcel), attempt: *attempt, option, pieces: *pieces, to }
    }
}

impl Line for Entry {
    fn number(&self) -> u64 {
        self.number
    }
}

impl Entry {
    /// `None` where its texts are too long for anybody.
    pub(crate) fn answer(&self) -> Option<BookingAnswer> {
        let outcome = match &self.outcome {
            Outcome::Booked { tracking, label_url } => BookingOutcome::Booked(Booking {
                tracking: tracking.clone().try_into().ok()?,
                label_url: web_address(label_url)?,
            }),
            Outcome::Refused { reason: Reason::NotServed } => {
                BookingOutcome::Refused(BookingRefusal::NotServed)
            }
            Outcome::Refused { reason: Reason::NotTaken } => {
                BookingOutcome::Refused(BookingRefusal::NotTaken)
            }
        };
        let Parcel { parcel: Reference(parcel), attempt, .. } = self.parcel;
        Some(BookingAnswer { parcel, attempt, outcome })
    }
}

/// People follow it: it is shown as a link.
fn web_address(text: &str) -> Option<Label> {
    let is_web = text.starts_with("https://") || text.starts_with("http://");
    text.to_owned().try_into().ok().filter(|_| is_web)
}
