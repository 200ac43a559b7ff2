//! Transports of encoded calls: a network channel, or a service that the program supplies.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::body::Body;
use tonic::transport::Channel;
use tower::Service;

/// A call in progress.
pub(crate) type Reply<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

/// A service in this process: no sockets, no HTTP/2.
pub(crate) type InProcess = Arc<dyn Fn(Request<Body>) -> Reply<Infallible> + Send + Sync>;

/// Sends the calls of the generated clients.
#[derive(Clone)]
pub(crate) enum Transport {
    Channel(Channel),
    InProcess(InProcess),
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Body>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Reply<Self::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        match self {
            Self::Channel(channel) => channel.poll_ready(cx).map_err(Into::into),
            Self::InProcess(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self {
            Self::Channel(channel) => {
                let reply = channel.call(request);
                Box::pin(async move { Ok(reply.await?) })
            }
            Self::InProcess(service) => {
                let reply = service(request);
                Box::pin(async move { reply.await.map_err(|never| match never {}) })
            }
        }
    }
}
