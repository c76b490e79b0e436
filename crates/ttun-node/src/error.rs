//! Errors and ends as data: an asynchronous function can't reject with a code of its own, so the TypeScript
//! layer makes errors of these.

use napi_derive::napi;
use ttun_core::{End, Error};

/// Why something failed.
#[napi(object, object_from_js = false, use_nullable = true)]
#[derive(Clone, Debug)]
pub struct BindingError {
    /// One of the `ERR_TTUN_…` codes.
    pub code: String,
    /// What happened, in one line.
    pub message: String,
    /// What to type or change, where that is known.
    pub hint: Option<String>,
    /// The system call that failed, if one did.
    pub syscall: Option<String>,
    /// The (positive) error number of that call.
    pub errno: Option<i32>,
}

impl From<Error> for BindingError {
    fn from(error: Error) -> Self {
        Self {
            code: error.kind().code().to_owned(),
            message: error.message().to_owned(),
            hint: error.hint().map(str::to_owned),
            syscall: error.syscall().map(str::to_owned),
            errno: error.errno(),
        }
    }
}

/// How a tunnel ended.
#[napi(object, object_from_js = false, use_nullable = true)]
#[derive(Clone)]
pub struct BindingEnd {
    /// Why it could not go on; null when it was closed.
    pub error: Option<BindingError>,
}

impl From<End> for BindingEnd {
    fn from(end: End) -> Self {
        match end {
            End::Closed => Self { error: None },
            End::Failed(error) => Self { error: Some(error.into()) },
        }
    }
}
