//! Certificates made for a test.

use std::fs;
use std::sync::Arc;

use cluster::ids::NodeId;
use cluster::runtime::mesh::names::ClusterName;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    date_time_ymd,
};
use storage::disk::{Disk, RealDisk};
use tempfile::TempDir;

pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    cluster: ClusterName,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Validity {
    Now,
    Past,
}

/// A certificate and its key, as PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Authority {
    pub(super) fn new(cluster: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        Self { issuer, cluster: cluster.parse().expect("a cluster name") }
    }

    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(super) fn node(&self, node: u64, validity: Validity) -> Pair {
        let names = [self.cluster.node(NodeId(node)), self.cluster.member()];
        let mut params = CertificateParams::new(names).expect("names");
        if validity == Validity::Past {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// The folder of a node that believes this authority.
    pub(super) fn folder(&self, node: u64) -> Folder {
        let folder = Folder::new();
        folder.fill(&self.pem(), &self.node(node, Validity::Now));
        folder
    }
}

pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(super) fn fill(&self, authorities: &str, pair: &Pair) {
        let files =
            [("ca.pem", authorities), ("node.pem", &pair.certificate), ("node.key", &pair.key)];
        for (file, contents) in files {
            fs::write(self.0.path().join(file), contents).expect("written");
        }
    }

    pub(super) fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(RealDisk::open(self.0.path()).expect("a folder"))
    }
}
