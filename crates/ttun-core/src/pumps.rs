//! Running the two pumps: what they share, and the threads that carry them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize};

use tokio::runtime::{Builder, Runtime};
use ttun_packet::{CoalesceOptions, SourceFilter, outer_overhead};

use crate::clock::Clock;
use crate::counters::{DecapCounters, EncapCounters, ErrnoCounters};
use crate::decap::Decap;
use crate::device::{DeviceHandle, TunDevice};
use crate::encap::Encap;
use crate::error::{Error, ErrorKind};
use crate::shutdown::Shutdown;
use crate::socket::{PeerSocket, SocketHandle};
use crate::watch::WatchPost;

/// What both pumps see of the tunnel, and what others see of the pumps.
pub(crate) struct Context {
    pub(crate) device: String,
    pub(crate) remote: SocketAddr,
    pub(crate) allowed_sources: Option<SourceFilter>,
    pub(crate) clamp_mss: bool,
    pub(crate) encap: EncapCounters,
    pub(crate) decap: DecapCounters,
    pub(crate) errors: ErrnoCounters,
    /// Datagrams that one send may carry; 1 where the kernel, or the interface, can't segment.
    pub(crate) segments_per_send: AtomicUsize,
    pub(crate) receive_overflow: AtomicU32,
    pub(crate) clock: Clock,
    pub(crate) watch: Arc<WatchPost>,
    pub(crate) shutdown: Shutdown,
}

impl Context {
    /// The longest inner packet that travels unfragmented on a route of `path_mtu` bytes.
    pub(crate) fn inner_mtu(&self, path_mtu: usize) -> usize {
        path_mtu.saturating_sub(outer_overhead(&self.remote))
    }

    pub(crate) fn device_gone(&self, syscall: &'static str, cause: &std::io::Error) -> Error {
        let name = &self.device;
        Error::new(ErrorKind::DeviceGone, format!("the device {name} was deleted"))
            .with_hint(format!("make it again and restart: ip tuntap add dev {name} mode tun"))
            .caused_by(syscall, cause)
    }
}

/// Carries packets both ways until the tunnel is closed or can't go on.
pub(crate) fn run(device: &Arc<TunDevice>, socket: &Arc<PeerSocket>, context: &Context) -> Result<(), Error> {
    let offload = device.offload();
    let coalesce = CoalesceOptions { tcp: offload.tso, udp: offload.uso };
    let encap = || {
        let (device, peer) = (DeviceHandle::new(Arc::clone(device)), SocketHandle::new(Arc::clone(socket)));
        Encap::new(device, peer, context)
    };
    let decap = || {
        let (device, peer) = (DeviceHandle::new(Arc::clone(device)), SocketHandle::new(Arc::clone(socket)));
        Decap::new(device, peer, coalesce, context)
    };
    if std::env::var_os("TTUN_TWO").is_none() {
        return runtime()?.block_on(async {
            let (out, back) = tokio::join!(
                ending(context, async { encap().run().await }),
                ending(context, async { decap().run().await })
            );
            out.and(back)
        });
    }
    std::thread::scope(|scope| {
        let back = scope.spawn(|| runtime()?.block_on(ending(context, async { decap().run().await })));
        let out = runtime()?.block_on(ending(context, async { encap().run().await }));
        out.and(back.join().unwrap_or(Ok(())))
    })
}

/// When one pump ends, for whatever reason, the other has nothing to live for.
async fn ending(context: &Context, pump: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    let ended = pump.await;
    context.shutdown.request();
    ended
}

fn runtime() -> Result<Runtime, Error> {
    Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|cause| Error::system("epoll_create1", &cause, "starting the tunnel's event loop"))
}
