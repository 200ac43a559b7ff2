//! What carries calls: a network channel, or the service of an engine in this process.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response};
use tonic::body::Body;
use tonic::transport::Channel;
use tower::Service;

/// A call that is under way.
pub(crate) type Reply<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

/// The service of an engine in this process: no sockets, no HTTP/2.
pub(crate) type InProcess = Arc<dyn Fn(Request<Body>) -> Reply<Infallible> + Send + Sync>;

/// Carries the calls of the generated clients and adds the headers that each call has.
#[derive(Clone)]
pub(crate) struct Transport {
    route: Route,
    headers: Arc<HeaderMap>,
}

#[derive(Clone)]
pub(super) enum Route {
    Channel(Channel),
    InProcess(InProcess),
}

impl Transport {
    pub(super) fn new(route: Route, headers: HeaderMap) -> Self {
        Self { route, headers: Arc::new(headers) }
    }
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Body>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Reply<Self::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        match &mut self.route {
            Route::Channel(channel) => channel.poll_ready(cx).map_err(Into::into),
            Route::InProcess(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        for (name, value) in self.headers.iter() {
            request.headers_mut().insert(name, value.clone());
        }
        match &mut self.route {
            Route::Channel(channel) => {
                let reply = channel.call(request);
                Box::pin(async move { Ok(reply.await?) })
            }
            Route::InProcess(service) => {
                let reply = service(request);
                Box::pin(async move { reply.await.map_err(|never| match never {}) })
            }
        }
    }
}
