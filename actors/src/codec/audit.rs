//! The bytes of what operators did.
//!
//! Those of an [`Act`] are hashed: another version of it begins with the hash of a link that has this
//! one, and never replaces it.

use cluster::entity::{DecodeError, Wire};
use serde::{Deserialize, Serialize};

use super::{damaged, encode, latest};
use crate::domain::audit::{
    self, Act, AuditChain, AuditPage, By, Keeping, Link, PageCommand, PageEvent, PageQuery,
    PageRejection, PageView,
};

const CHAIN: &str = "a record of a chain of acts";
const PAGE: &str = "a record of a page of acts";

wire! {
    By: "who does something",
    Act: "what an operator did",
    audit::Command: "a command to a chain of acts",
    audit::Event: "an event of a chain of acts",
    audit::Reply: "a reply of a chain of acts",
    audit::Rejection: "a rejection of a chain of acts",
    audit::Query: "a query of a chain of acts",
    audit::View: "a view of a chain of acts",
    PageCommand: "a command to a page of acts",
    PageEvent: "an event of a page of acts",
    PageRejection: "a rejection of a page of acts",
    PageQuery: "a query of a page of acts",
    PageView: "a view of a page of acts",
}

#[derive(Serialize, Deserialize)]
struct ChainRecordV1 {
    n_links: u64,
    tail: Vec<Link>,
}

#[derive(Serialize, Deserialize)]
struct PageRecordV1 {
    links: Vec<Link>,
}

pub(crate) fn chain_to_record<K: Keeping>(chain: &AuditChain<K>) -> Vec<u8> {
    encode(&ChainRecordV1 { n_links: chain.n_links, tail: chain.tail.clone() })
}

pub(crate) fn chain_from_record<K: Keeping>(bytes: &[u8]) -> Result<AuditChain<K>, DecodeError> {
    let ChainRecordV1 { n_links, tail } = latest(CHAIN, bytes)?;
    let page = AuditPage::<K>::LINKS_MAX;
    let kept = if n_links < page { n_links } else { n_links % page + page };
    if tail.len() as u64 != kept {
        return Err(damaged(CHAIN, "a chain has other links than its number of them says"));
    }
    Ok(AuditChain::of(n_links, tail))
}

pub(crate) fn page_to_record<K: Keeping>(page: &AuditPage<K>) -> Vec<u8> {
    encode(&PageRecordV1 { links: page.links.clone() })
}

pub(crate) fn page_from_record<K: Keeping>(bytes: &[u8]) -> Result<AuditPage<K>, DecodeError> {
    let PageRecordV1 { links } = latest(PAGE, bytes)?;
    if !links.is_empty() && links.len() != AuditPage::<K>::LINKS {
        return Err(damaged(PAGE, "a page of acts is neither empty nor full"));
    }
    Ok(AuditPage::of(links))
}
