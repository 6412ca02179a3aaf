//! A node's certificate, its key and the authorities it believes.
//!
//! **Invariants:**
//! - TLS 1.3 with certificates on both sides, always; sessions are never resumed, because a resumed
//!   session would outlive the certificate that began it;
//! - a certificate that this node's own authorities would refuse, that names another node or that
//!   does not fit the key is refused when it is read, not when the first peer calls;
//! - new files are used by the next handshake; a session that is open stays.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use storage::clock;
use storage::disk::Disk;

use crate::ids::NodeId;
use crate::runtime::mesh::names::{ClusterName, Holder, Named, named};
use crate::runtime::mesh::validity;

/// The authorities' certificates, one or several.
pub const AUTHORITY_FILE: &str = "ca.pem";
/// The node's certificate, and those between it and the authority.
pub const CERTIFICATE_FILE: &str = "node.pem";
pub const KEY_FILE: &str = "node.key";
const FILE_BYTES_MAX: u64 = 256 << 10;
const PROTOCOL: &[u8] = b"omnicart-mesh";

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("cannot read {file}")]
    Read {
        file: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("{file} has {bytes} bytes: at most {FILE_BYTES_MAX} are read")]
    TooLarge { file: &'static str, bytes: u64 },
    #[error("{file} is not in PEM format: {why}")]
    Pem { file: &'static str, why: String },
    #[error("{file} holds no certificate")]
    Empty { file: &'static str },
    #[error("{CERTIFICATE_FILE} names no node of an OmniCart cluster")]
    Nameless,
    #[error("{CERTIFICATE_FILE} is for node {found}, and this is node {wanted}")]
    OtherNode { found: u64, wanted: u64 },
    #[error("{CERTIFICATE_FILE} is refused by the authorities in {AUTHORITY_FILE}")]
    Refused(#[source] rustls::Error),
    #[error("{AUTHORITY_FILE} cannot serve as an authority: {why}")]
    Authority { why: String },
    #[error("{CERTIFICATE_FILE} and {KEY_FILE} cannot be used together")]
    Key(#[source] rustls::Error),
}

/// What a handshake needs.
pub(super) struct Credentials {
    pub(super) cluster: ClusterName,
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
    /// Since the Unix epoch, in seconds.
    pub(super) expires: Option<u64>,
    digest: [u8; 32],
}

/// Whether a node could use such files.
pub fn check(
    authority: &[u8],
    certificate: &[u8],
    key: &[u8],
    node: NodeId,
) -> Result<(), CertificateError> {
    let [authority, certificate, key] = [authority, certificate, key].map(<[u8]>::to_vec);
    Credentials::parse(&Files { authority, certificate, key }, node).map(drop)
}

/// Whether reading the files again changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    Unchanged,
    Changed,
}

/// The credentials in use, and where newer ones will lie.
pub(super) struct Keyring {
    disk: Arc<dyn Disk>,
    node: NodeId,
    current: Mutex<Arc<Credentials>>,
}

impl Keyring {
    pub(super) fn open(disk: Arc<dyn Disk>, node: NodeId) -> Result<Self, CertificateError> {
        let current = Arc::new(Credentials::parse(&Files::read(&*disk)?, node)?);
        Ok(Self { disk, node, current: Mutex::new(current) })
    }

    pub(super) fn current(&self) -> Arc<Credentials> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again; keeps what is in use when they cannot be used.
    pub(super) fn reload(&self) -> Result<Rotation, CertificateError> {
        let files = Files::read(&*self.disk)?;
        if files.digest() == self.current().digest {
            return Ok(Rotation::Unchanged);
        }
        let fresh = Arc::new(Credentials::parse(&files, self.node)?);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(Rotation::Changed)
    }
}

struct Files {
    authority: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    fn read(disk: &dyn Disk) -> Result<Self, CertificateError> {
        Ok(Self {
            authority: read(disk, AUTHORITY_FILE)?,
            certificate: read(disk, CERTIFICATE_FILE)?,
            key: read(disk, KEY_FILE)?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for file in [&self.authority, &self.certificate, &self.key] {
            digest.update(u64::try_from(file.len()).unwrap_or(u64::MAX).to_le_bytes());
            digest.update(file);
        }
        digest.finalize().into()
    }
}

fn read(disk: &dyn Disk, file: &'static str) -> Result<Vec<u8>, CertificateError> {
    let failed = |source| CertificateError::Read { file, source };
    let handle = disk.open(file).map_err(failed)?;
    let bytes = handle.len().map_err(failed)?;
    let len = match usize::try_from(bytes) {
        Ok(len) if bytes <= FILE_BYTES_MAX => len,
        Ok(_) | Err(_) => return Err(CertificateError::TooLarge { file, bytes }),
    };
    let mut contents = vec![0; len];
    let read = handle.read_full_at(0, &mut contents).map_err(failed)?;
    contents.truncate(read);
    Ok(contents)
}

impl Credentials {
    fn parse(files: &Files, node: NodeId) -> Result<Self, CertificateError> {
        let provider = Arc::new(ring::default_provider());
        let roots = Arc::new(authorities(&files.authority)?);
        let chain = certificates(CERTIFICATE_FILE, &files.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&files.key)
            .map_err(|error| CertificateError::Pem { file: KEY_FILE, why: error.to_string() })?;
        let verifier = verifier(&roots, &provider)?;
        let cluster = own_name(&chain, node, &*verifier)?;
        let expires = chain.first().and_then(|own| validity::end_of(own));
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(CertificateError::Key)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(CertificateError::Key)?;
        server.alpn_protocols = vec![PROTOCOL.to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(CertificateError::Key)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(CertificateError::Key)?;
        client.alpn_protocols = vec![PROTOCOL.to_vec()];
        client.resumption = Resumption::disabled();
        let (server, client) = (Arc::new(server), Arc::new(client));
        Ok(Self { cluster, server, client, expires, digest: files.digest() })
    }
}

fn certificates(
    file: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(CertificateError::Empty { file }),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(CertificateError::Pem { file, why: error.to_string() }),
    }
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, CertificateError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(AUTHORITY_FILE, pem)? {
        roots
            .add(certificate)
            .map_err(|error| CertificateError::Authority { why: error.to_string() })?;
    }
    Ok(roots)
}

fn verifier(
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, CertificateError> {
    WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
        .build()
        .map_err(|error| CertificateError::Authority { why: error.to_string() })
}

/// The cluster in this node's certificate, once peers would believe it.
fn own_name(
    chain: &[CertificateDer<'static>],
    node: NodeId,
    verifier: &dyn ClientCertVerifier,
) -> Result<ClusterName, CertificateError> {
    let Some((own, between)) = chain.split_first() else {
        return Err(CertificateError::Empty { file: CERTIFICATE_FILE });
    };
    let now = UnixTime::since_unix_epoch(Duration::from_micros(clock::wall_micros()));
    verifier.verify_client_cert(own, between, now).map_err(CertificateError::Refused)?;
    match named(own) {
        Some(Named { cluster, holder: Holder::Node(found) }) if found.number() == node.number() => {
            Ok(cluster)
        }
        Some(Named { holder: Holder::Node(found), .. }) => {
            Err(CertificateError::OtherNode { found: found.0, wanted: node.0 & 0xffff })
        }
        Some(Named { holder: Holder::Authority, .. }) | None => Err(CertificateError::Nameless),
    }
}
