//! A method that a path does not have is answered with 405 and those it has.

use poem::{
    Endpoint, IntoResponse as _, Middleware, Request, Response,
    http::{HeaderValue, Method, StatusCode, header},
};
use poem_openapi::OpenApi;

use super::Problem;

/// Every path with its methods, from the operations' description.
#[derive(Clone, Debug)]
pub struct Methods(Vec<(Vec<String>, Vec<Method>)>);

impl Methods {
    pub fn of<T: OpenApi>() -> Self {
        let mut paths: Vec<(Vec<String>, Vec<Method>)> = Vec::new();
        for path in T::meta().into_iter().flat_map(|api| api.paths) {
            let methods = path.operations.into_iter().map(|operation| operation.method);
            paths.push((segments(&path.path).map(str::to_owned).collect(), methods.collect()));
        }
        Self(paths)
    }

    fn allowed(&self, path: &str) -> String {
        let asked: Vec<&str> = segments(path).collect();
        let fits = |pattern: &[String]| {
            pattern.len() == asked.len()
                && pattern
                    .iter()
                    .zip(&asked)
                    .all(|(part, asked)| part.starts_with(['{', ':']) || part.as_str() == *asked)
        };
        let mut methods: Vec<&str> = self
            .0
            .iter()
            .filter(|(pattern, _)| fits(pattern))
            .flat_map(|(_, methods)| methods.iter().map(Method::as_str))
            .collect();
        methods.sort_unstable();
        methods.dedup();
        methods.join(", ")
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

impl<E: Endpoint> Middleware<E> for Methods {
    type Output = Allowing<E>;

    fn transform(&self, endpoint: E) -> Self::Output {
        Allowing { inner: endpoint, methods: self.clone() }
    }
}

pub struct Allowing<E> {
    inner: E,
    methods: Methods,
}

impl<E: Endpoint> Endpoint for Allowing<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        match self.inner.call(request).await {
            Err(error) if error.status() == StatusCode::METHOD_NOT_ALLOWED => {
                let allowed = self.methods.allowed(&path);
                let detail = format!("This path does not have {method}; it has {allowed}.");
                let mut response = Problem::framework(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "method_not_allowed",
                    detail,
                );
                if let Ok(value) = HeaderValue::from_str(&allowed) {
                    response.headers_mut().insert(header::ALLOW, value);
                }
                Ok(response)
            }
            answer => Ok(answer?.into_response()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_methods_of_a_path_are_those_of_all_its_patterns() {
        let path = |text: &str, methods: &[Method]| {
            (segments(text).map(str::to_owned).collect(), methods.to_vec())
        };
        let methods = Methods(vec![
            path("/api/plans", &[Method::GET, Method::POST]),
            path("/api/plans/{id}", &[Method::GET]),
            path("/api/plans/compare", &[Method::POST]),
        ]);
        assert_eq!(methods.allowed("/api/plans"), "GET, POST");
        assert_eq!(methods.allowed("/api/plans/7"), "GET");
        assert_eq!(methods.allowed("/api/plans/compare"), "GET, POST");
        assert_eq!(methods.allowed("/api/none"), "");
    }
}
