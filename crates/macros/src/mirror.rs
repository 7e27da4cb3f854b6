use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, Field, GenericArgument, Ident, Path, PathArguments,
    Result, Token, Type, parse::Parse, parse::ParseStream, punctuated::Punctuated,
};

/// `from = Article` or `into = ArticleSpec`.
struct Said {
    way: Ident,
    other: Path,
}

impl Parse for Said {
    fn parse(input: ParseStream) -> Result<Self> {
        let way: Ident = input.parse()?;
        input.parse::<Token![=]>()?;
        Ok(Self { way, other: input.parse()? })
    }
}

pub fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "a mirror is a struct"));
    };
    let attribute =
        mirror(&input.attrs).ok_or_else(|| Error::new_spanned(&input.ident, "no #[mirror(…)]"))?;
    let mut impls = TokenStream::new();
    for Said { way, other } in
        attribute.parse_args_with(Punctuated::<Said, Token![,]>::parse_terminated)?
    {
        impls.extend(if way == "from" {
            from(&input.ident, &other, data.fields.iter())?
        } else if way == "into" {
            into(&input.ident, &other, data.fields.iter())?
        } else {
            return Err(Error::new_spanned(way, "`from` or `into`"));
        });
    }
    Ok(impls)
}

fn from<'a>(
    name: &Ident,
    other: &Path,
    fields: impl Iterator<Item = &'a Field>,
) -> Result<TokenStream> {
    let (mut computed, mut moved) = (TokenStream::new(), TokenStream::new());
    for field in fields {
        let (ident, ty) = (&field.ident, &field.ty);
        match place(field)? {
            (Some(Expr::Closure(closure)), _) => {
                computed.extend(quote! {
                    let read: fn(&#other) -> #ty = #closure;
                    let #ident = read(&value);
                });
                moved.extend(quote!(#ident,));
            }
            (place, by) => {
                let place = place.map_or_else(|| own_name(field), |place| place.to_token_stream());
                let value = converted(ty, &quote!(value.#place), by);
                moved.extend(quote!(#ident: #value,));
            }
        }
    }
    Ok(quote! {
        impl From<#other> for #name {
            fn from(value: #other) -> Self {
                #computed
                Self { #moved }
            }
        }
    })
}

fn into<'a>(
    name: &Ident,
    other: &Path,
    fields: impl Iterator<Item = &'a Field>,
) -> Result<TokenStream> {
    let mut moved = TokenStream::new();
    for field in fields {
        let ident = &field.ident;
        let (place, by) = match place(field)? {
            (Some(Expr::Closure(_)), _) => (None, None),
            said => said,
        };
        let place = place.map_or_else(|| own_name(field), |place| place.to_token_stream());
        let value = converted(&field.ty, &quote!(value.#ident), by);
        moved.extend(quote!(#place: #value,));
    }
    Ok(quote! {
        impl From<#name> for #other {
            fn from(value: #name) -> Self {
                Self { #moved }
            }
        }
    })
}

/// What `#[mirror(…)]` says of a field: where it is, and the function that converts it.
fn place(field: &Field) -> Result<(Option<Expr>, Option<Expr>)> {
    let Some(attribute) = mirror(&field.attrs) else { return Ok((None, None)) };
    let said = attribute.parse_args_with(Punctuated::<Expr, Token![,]>::parse_terminated)?;
    let mut said = said.into_iter();
    Ok((said.next(), said.next()))
}

/// The other struct's name of a field.
fn own_name(field: &Field) -> TokenStream {
    let Some(ident) = &field.ident else { return TokenStream::new() };
    let name = ident.to_string();
    match name.strip_suffix("_id") {
        Some(name) if is_id(&field.ty) => Ident::new(name, ident.span()).to_token_stream(),
        _ => ident.to_token_stream(),
    }
}

fn is_id(ty: &Type) -> bool {
    match inner(ty, "Option") {
        Some(ty) => is_id(ty),
        None => last(ty).is_some_and(|last| last.ident.to_string().ends_with("Id")),
    }
}

/// Moved by `Into`, or its parts where it is an option or a list.
fn converted(ty: &Type, value: &TokenStream, by: Option<Expr>) -> TokenStream {
    let into = quote!(::core::convert::Into::into);
    if let Some(by) = by {
        quote!(#by(#value))
    } else if inner(ty, "Option").is_some() {
        quote!(#value.map(#into))
    } else if inner(ty, "Vec").is_some() {
        quote!(#value.into_iter().map(#into).collect())
    } else {
        quote!(#into(#value))
    }
}

fn last(ty: &Type) -> Option<&syn::PathSegment> {
    let Type::Path(path) = ty else { return None };
    path.path.segments.last()
}

/// The argument of `Option<…>` or `Vec<…>`.
fn inner<'a>(ty: &'a Type, generic: &str) -> Option<&'a Type> {
    let PathArguments::AngleBracketed(arguments) =
        &last(ty).filter(|last| last.ident == generic)?.arguments
    else {
        return None;
    };
    match arguments.args.first()? {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    }
}

fn mirror(attributes: &[Attribute]) -> Option<&Attribute> {
    attributes.iter().find(|attribute| attribute.path().is_ident("mirror"))
}
