//! Who brings parcels: the carriers of the settings, or the demo's simulator.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use actors::domain::payment::ProviderName;
use anyhow::Context;
use edge::metrics::ProviderMetrics;
use edge::providers::carrier::simulator::{Behaviour, InProcess, Simulator};
use edge::providers::carrier::{Carrier, Carriers};
use edge::providers::{Caller, NoticeSecret, NoticeTarget};

use crate::config::{CarrierKind, Config, Products};
use crate::failure::Failure;
use crate::providers::{Secrets, refused, roots};
use crate::serve::random_hex;

/// The demo's own carrier, as fulfilments name it.
const DEMO: &str = "simulator";
/// Where the ledger of one inside the node lies, in the data folder.
const BUILT_IN_FOLDER: &str = "carrier-simulator";

/// Those of a node that is asked at this address.
pub fn carriers(
    config: &Config,
    address: SocketAddr,
    metrics: ProviderMetrics,
) -> Result<Carriers, Failure> {
    let mut carriers: BTreeMap<ProviderName, Arc<dyn Carrier>> = BTreeMap::new();
    for (name, kind) in &config.carriers {
        carriers.insert(name.clone(), carrier(config, address, name, kind)?);
    }
    let is_demo = config.products == Products::Demo && config.mesh.is_none();
    if is_demo
        && let Ok(name) = DEMO.parse::<ProviderName>()
        && !carriers.contains_key(&name)
    {
        let inside = built_in(config, address, &name)?;
        carriers.insert(name, inside);
    }
    Ok(Carriers::new(carriers, metrics))
}

fn carrier(
    config: &Config,
    address: SocketAddr,
    name: &ProviderName,
    kind: &CarrierKind,
) -> Result<Arc<dyn Carrier>, Failure> {
    let named = || format!("carrier {name}");
    let origin = match kind {
        CarrierKind::Simulator(origin) => origin,
        // Its ledger is this node's own, and another node may ask for the next parcel.
        CarrierKind::BuiltIn if config.mesh.is_some() => {
            let error = anyhow::anyhow!("a node of a cluster has no carrier of its own");
            return Err(refused(error.context(named())));
        }
        CarrierKind::BuiltIn => return built_in(config, address, name),
    };
    let roots = origin.is_https().then(|| roots(&config.payment_roots)).transpose()?;
    let caller = Caller::new(origin.clone(), roots).with_context(named).map_err(refused)?;
    let secrets = Secrets { folder: config.carrier_secrets.as_deref(), name };
    Ok(Arc::new(Simulator::new(caller, secrets.notices::<NoticeSecret>()?)))
}

/// Its notices come in at the front door, signed with what only this process knows.
fn built_in(
    config: &Config,
    address: SocketAddr,
    name: &ProviderName,
) -> Result<Arc<dyn Carrier>, Failure> {
    let host = match address.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    let front = SocketAddr::new(host, address.port());
    let origin = format!("http://{front}/hooks/shipping/{name}").parse();
    let origin = origin.context("the node's own address").map_err(refused)?;
    let caller = Caller::new(origin, None).map_err(|error| refused(error.into()))?;
    let secret = NoticeSecret::try_from(random_hex()?.as_str());
    let secret = secret.map_err(|error| refused(error.into()))?;
    let target = NoticeTarget { caller, secret };
    let folder = config.data.join(BUILT_IN_FOLDER);
    Ok(Arc::new(InProcess::new(folder, Behaviour::default(), target)))
}
