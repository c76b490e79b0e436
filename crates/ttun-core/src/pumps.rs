//! Running the two pumps: what they share, and the thread that carries them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize};

use tokio::runtime::Builder;
use ttun_packet::SourceFilter;

use crate::attachment::{Attachment, DeviceFacts};
use crate::clock::Clock;
use crate::counters::{Counter, ErrnoCounters};
use crate::decap::Decap;
use crate::encap::Encap;
use crate::endpoints::SharedEndpoints;
use crate::error::{Error, ErrorKind};
use crate::problem::Problem;
use crate::shutdown::Shutdown;
use crate::socket::{PeerSocket, SocketHandle};
use crate::stats::{DecapStats, EncapStats};
use crate::watch::WatchPost;

/// What both pumps see of the tunnel, and what others see of the pumps.
pub(crate) struct Context {
    /// Name of the device, and what is told of it.
    pub(crate) device: String,
    pub(crate) device_facts: DeviceFacts,
    pub(crate) endpoints: SharedEndpoints,
    /// Bytes added to each packet on the outside. The peer may change, its address family may not.
    pub(crate) outer_overhead: usize,
    pub(crate) allowed_sources: Option<SourceFilter>,
    pub(crate) clamp_mss: bool,
    pub(crate) encap: EncapStats<Counter>,
    pub(crate) decap: DecapStats<Counter>,
    pub(crate) errors: ErrnoCounters,
    /// Datagrams that one send may carry; 1 where the kernel, or the interface, can't segment.
    pub(crate) segments_per_send: AtomicUsize,
    pub(crate) receive_overflow: AtomicU32,
    pub(crate) clock: Clock,
    pub(crate) problem: Problem,
    pub(crate) watch: Arc<WatchPost>,
    pub(crate) shutdown: Shutdown,
}

impl Context {
    /// The longest inner packet that travels unfragmented on a route of `path_mtu` bytes.
    pub(crate) fn inner_mtu(&self, path_mtu: usize) -> usize {
        path_mtu.saturating_sub(self.outer_overhead)
    }

    pub(crate) fn device_gone(&self, syscall: &'static str, cause: &std::io::Error) -> Error {
        let name = &self.device;
        Error::new(ErrorKind::DeviceGone, format!("the device {name} was deleted"))
            .with_hint(format!("make it again and restart: ip tuntap add dev {name} mode tun"))
            .caused_by(syscall, cause)
    }
}

/// Carries packets both ways, on this thread, until the tunnel is closed or can't go on.
///
/// One thread for both directions: two were measured, always and only under load, and lost in most figures on two
/// processors (docs/performance.md).
pub(crate) fn run(
    attachment: &Attachment<'_>,
    socket: &Arc<PeerSocket>,
    context: &Context,
) -> Result<(), Error> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|cause| Error::system("epoll_create1", &cause, "starting the tunnel's event loop"))?;
    let handle = || SocketHandle::new(Arc::clone(socket));
    runtime.block_on(async {
        let mut encap = Encap::new(attachment, handle(), context);
        let mut decap = Decap::new(attachment, handle(), attachment.coalesce(), context);
        let (out, back) = tokio::join!(ending(context, encap.run()), ending(context, decap.run()));
        out.and(back)
    })
}

/// When one pump ends, for whatever reason, the other has nothing to live for.
async fn ending(context: &Context, pump: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    let ended = pump.await;
    context.shutdown.request();
    ended
}
