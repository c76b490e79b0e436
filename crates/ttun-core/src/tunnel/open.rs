//! Opening a tunnel: everything that can fail, before a packet moves.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread;

use ttun_packet::{SourceFilter, outer_overhead};

use super::{End, Ending, Facts, Shared};
use crate::attachment::{Attaching, Attachment, DeviceFacts};
use crate::clock::Clock;
use crate::counters::ErrnoCounters;
use crate::device::{DevicePlan, TunDevice};
use crate::endpoints::SharedEndpoints;
use crate::error::{Error, ErrorKind};
use crate::interface::Interface;
use crate::options::TunnelOptions;
use crate::problem::Problem;
use crate::pumps::{self, Context};
use crate::shutdown::Shutdown;
use crate::socket::{self, PeerSocket};
use crate::stats::{DecapStats, EncapStats};

/// Attaches to the device, opens the socket and starts the thread that carries packets.
pub(super) fn open(options: &TunnelOptions) -> Result<Arc<Shared>, Error> {
    let allowed_sources = options.allowed_sources.as_deref().map(SourceFilter::new).transpose();
    let allowed_sources = allowed_sources.map_err(|impossible| {
        Error::new(ErrorKind::InvalidOptions, impossible.to_string())
            .with_hint("a prefix has up to 32 bits in IPv4 and 128 in IPv6")
    })?;
    if options.bind_device.as_ref() == Some(&options.device) {
        let name = &options.device;
        return Err(Error::new(
            ErrorKind::InvalidOptions,
            format!("the tunnel's datagrams can't leave by its own device {name}"),
        )
        .with_hint("name the interface that leads to the peer: ip -brief link"));
    }
    let outer_overhead = outer_overhead(&options.remote);
    let interface =
        options.interface.as_ref().map(|wished| Interface::new(wished, outer_overhead)).transpose()?;
    let attaching = Attaching { plan: DevicePlan::new(options)?, interface, reattach: options.reattach };
    // What is most often wrong is said first; what is changed of the system comes last.
    attaching.plan.check()?;
    let (socket, endpoints) = socket::open(options)?;
    let device = attaching.attach(&socket)?;
    let socket = Arc::new(socket);
    let (receive_buffer, send_buffer) = socket.buffer_sizes();
    let shared = Arc::new(Shared {
        context: Context {
            device: options.device.clone(),
            device_facts: DeviceFacts::of(&device),
            endpoints: SharedEndpoints::new(endpoints),
            outer_overhead,
            allowed_sources,
            clamp_mss: options.clamp_mss,
            encap: EncapStats::default(),
            decap: DecapStats::default(),
            errors: ErrnoCounters::default(),
            segments_per_send: AtomicUsize::new(socket.segments_per_send()),
            receive_overflow: AtomicU32::new(0),
            clock: Clock::start(),
            problem: Problem::default(),
            watch: Arc::default(),
            shutdown: Shutdown::default(),
        },
        attaching,
        facts: Facts { gro: socket.gro(), receive_buffer, send_buffer },
        socket: Arc::downgrade(&socket),
        last_mtus: OnceLock::new(),
        ending: Mutex::new(Ending::Running(Vec::new())),
        ended: Condvar::new(),
    });

    let theirs = Arc::clone(&shared);
    thread::Builder::new()
        .name(format!("ttun-{}", options.device))
        .spawn(move || {
            let end = carry(device, &socket, &theirs);
            // Both descriptors are closed before anybody hears of the end.
            drop(socket);
            theirs.end(&end);
        })
        .map_err(|cause| Error::system("clone", &cause, "starting the tunnel's thread"))?;
    Ok(shared)
}

/// Carries packets until the tunnel ends; then the interface is as it was before, and the device is free.
fn carry(device: TunDevice, socket: &Arc<PeerSocket>, shared: &Shared) -> End {
    let Shared { context, attaching, .. } = shared;
    let attachment = Attachment::new(device, attaching, socket, context);
    let ran = catch_unwind(AssertUnwindSafe(|| pumps::run(&attachment, socket, context)));
    let _ = shared.last_mtus.set(shared.mtus());
    drop(attachment);
    match ran {
        Ok(Ok(())) => End::Closed,
        Ok(Err(error)) => End::Failed(error),
        Err(panic) => End::Failed(panicked(panic.as_ref())),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::new(ErrorKind::Internal, format!("the packet path panicked: {said}"))
        .with_hint("this is a bug in ttun: please report it with this message")
}
