//! Series of echo requests through a tunnel.

use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::{Env, Object, Result};
use napi_derive::napi;
use ttun_core::{EchoAnswer, EchoDatagram, EchoOutcome, SeriesEcho};

use crate::BindingError;
use crate::options::ip_address;
use crate::tunnel::{BindingTunnel, off_thread};

/// An echo request.
#[napi(object, object_to_js = false)]
pub struct BindingEchoRequest {
    /// Length of the inner packet, bytes.
    pub bytes: u32,
    /// TOS or traffic class of the inner packet.
    pub tos: u8,
    /// That of the datagram.
    pub outer_tos: u8,
    /// Whether the datagram must not be fragmented.
    pub is_whole: bool,
}

/// When requests are sent, and how long each answer may take.
#[napi(object, object_to_js = false)]
#[derive(Clone, Copy)]
pub struct BindingEchoTimes {
    /// Between two requests, ms.
    pub distance_ms: u32,
    /// For each answer, ms.
    pub timeout_ms: u32,
}

/// The answer to an echo request.
#[napi(object, object_from_js = false)]
pub struct BindingEchoAnswer {
    /// Round-trip time, ms.
    pub rtt_ms: f64,
    /// Length of the inner packet, bytes; of its first fragment, if the peer fragmented it.
    pub bytes: u32,
    /// TOS or traffic class of the inner packet, as it arrived.
    pub tos: u8,
    /// That of its datagram.
    pub outer_tos: u8,
    /// Whether its datagram arrived in fragments.
    pub is_reassembled: bool,
}

/// Answers to echo requests, or why none could be sent.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BindingEchoResult {
    /// Why no requests could be sent.
    pub error: Option<BindingError>,
    /// The answer to each request; null for one that was not answered in time, or not sent.
    #[napi(ts_type = "Array<BindingEchoAnswer | null>")]
    pub results: Vec<Option<BindingEchoAnswer>>,
}

#[napi]
impl BindingTunnel {
    /// Sends echo requests to an address inside the tunnel, given as its bytes.
    #[napi(catch_unwind, ts_return_type = "Promise<BindingEchoResult>")]
    pub fn send_echoes<'e>(
        &self,
        env: &'e Env,
        address: Vec<u8>,
        requests: Vec<BindingEchoRequest>,
        times: BindingEchoTimes,
    ) -> Result<Object<'e>> {
        let tunnel = Arc::clone(&self.tunnel);
        let BindingEchoTimes { distance_ms, timeout_ms } = times;
        let times = [distance_ms, timeout_ms];
        let send = move || {
            let requests: Vec<_> = requests.into_iter().map(SeriesEcho::from).collect();
            let [distance, timeout] = times.map(|ms| Duration::from_millis(ms.into()));
            tunnel.echo_series(ip_address(&address)?, &requests, distance, timeout)
        };
        off_thread(env, send, |done| match done {
            Ok(outcomes) => {
                let results = outcomes.into_iter().map(answer).collect();
                BindingEchoResult { error: None, results }
            }
            Err(error) => BindingEchoResult { error: Some(error.into()), results: Vec::new() },
        })
    }
}

fn answer(outcome: EchoOutcome) -> Option<BindingEchoAnswer> {
    match outcome {
        EchoOutcome::Answered(answer) => Some(answer.into()),
        EchoOutcome::Unanswered | EchoOutcome::Refused(_) => None,
    }
}

impl From<BindingEchoRequest> for SeriesEcho {
    fn from(request: BindingEchoRequest) -> Self {
        let BindingEchoRequest { bytes, tos, outer_tos, is_whole } = request;
        let datagram = if is_whole { EchoDatagram::Whole } else { EchoDatagram::AsData };
        Self { len: bytes as usize, tos, outer_tos, datagram }
    }
}

impl From<EchoAnswer> for BindingEchoAnswer {
    fn from(answer: EchoAnswer) -> Self {
        let EchoAnswer { rtt, tos, outer_tos, is_reassembled, len, .. } = answer;
        Self { rtt_ms: rtt.as_secs_f64() * 1e3, bytes: len as u32, tos, outer_tos, is_reassembled }
    }
}
