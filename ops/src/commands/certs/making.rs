//! Certificates, made in memory.
//!
//! **Invariants:** an authority signs names of its own cluster only, and no further authority; a
//! node's certificate was accepted, with its key, by the code that a node runs.

use std::time::Duration;

use anyhow::{Context, bail};
use cluster::ids::NodeId;
use cluster::runtime::mesh::credentials;
use cluster::runtime::mesh::names::{ClusterName, Holder, Named, named};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use storage::clock;

/// A certificate and its key, in PEM format.
pub(super) struct Made {
    pub(super) certificate: String,
    pub(super) key: String,
}

pub(super) fn authority(cluster: &ClusterName, days: u32) -> anyhow::Result<Made> {
    let key = KeyPair::generate()?;
    let mut params = authority_params(cluster)?;
    valid_for(&mut params, days);
    Ok(Made { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() })
}

pub(super) fn node(
    authority: &str,
    authority_key: &str,
    node: NodeId,
    days: u32,
) -> anyhow::Result<Made> {
    let certificate = CertificateDer::from_pem_slice(authority.as_bytes())
        .map_err(|error| anyhow::anyhow!("ca.pem is not in PEM format: {error}"))?;
    let Some(Named { cluster, holder: Holder::Authority }) = named(&certificate) else {
        bail!("ca.pem is no authority made by `omnicart certs ca`");
    };
    let authority_key = KeyPair::from_pem(authority_key).context("ca.key cannot be used")?;
    // The name is all a signature needs to know of its authority, and it follows from the cluster.
    let issuer = Issuer::new(authority_params(&cluster)?, authority_key);
    let mut params = CertificateParams::new([cluster.node(node), cluster.member()])?;
    params.distinguished_name = common_name(format!("{cluster} node {}", node.0));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // A node dials and is dialed.
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    valid_for(&mut params, days);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    let key = key.serialize_pem();
    credentials::check(authority.as_bytes(), certificate.as_bytes(), key.as_bytes(), node)
        .context("ca.pem and ca.key make no certificate that a node would believe")?;
    Ok(Made { certificate, key })
}

fn authority_params(cluster: &ClusterName) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new([cluster.authority()])?;
    params.distinguished_name = common_name(format!("{cluster} authority"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName(cluster.domain())],
        excluded_subtrees: Vec::new(),
    });
    Ok(params)
}

fn common_name(name: String) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::OrganizationName, "OmniCart");
    names.push(DnType::CommonName, name);
    names
}

fn valid_for(params: &mut CertificateParams, days: u32) {
    /// Clocks of nodes may differ.
    const BEFORE: Duration = Duration::from_secs(60 * 60);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let now = date_time_ymd(1970, 1, 1) + Duration::from_micros(clock::wall_micros());
    params.not_before = now - BEFORE;
    params.not_after = now + DAY.saturating_mul(days);
}
