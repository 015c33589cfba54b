//! A treemap: rectangles whose areas are as bytes are, as near to squares as they can be.
//!
//! Squarified, by Bruls, Huizing and van Wijk: items from large to small are laid along the shorter side of what is left,
//! as many in a strip as make its rectangles squarer.

use crate::markup::escaped;
use crate::picture::{Picture, percent};
use crate::units::bytes;
use std::fmt::Write;

/// Between two rectangles.
const SPACE: f64 = 2.0;

/// How wide a letter is, about: of a name, which is bold, and of all else.
const BOLD: f64 = 8.4;
const LETTER: f64 = 6.8;

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Area {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// Where the bytes of `picture` go, in `whole`, as a part of an SVG.
pub(crate) fn draw(picture: &Picture, whole: Area) -> String {
    let sizes: Vec<u64> = picture.bytes.iter().map(|share| share.bytes).collect();
    let (total, mut out) = (sizes.iter().sum(), String::from("<g class=\"tiles\">\n"));
    for (share, area) in picture.bytes.iter().zip(areas(&sizes, whole)) {
        let (width, height) = (area.width - SPACE, area.height - SPACE);
        if width <= 0.0 || height <= 0.0 {
            continue;
        }
        let class = share.class.map_or("head".to_owned(), |class| format!("t{class}"));
        let (name, size) = (escaped(&share.name), bytes(share.bytes));
        let part = percent(share.bytes, total);
        let shown = escaped(&part);
        let Area { x, y, .. } = area;
        let _ = write!(
            out,
            r#"<g class="tile {class}"><rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/><title>{name}: {size}, {shown}</title>"#
        );
        label(&mut out, area, &share.name, &[format!("{size}, {part}"), size]);
        out.push_str("</g>\n");
    }
    out + "</g>\n"
}

/// What a rectangle is, where it has room for that: its name, and the first of `texts` that fits.
fn label(out: &mut String, area: Area, name: &str, texts: &[String]) {
    let fits = |text: &str, letter: f64, lines: f64| {
        area.width > text.chars().count() as f64 * letter + 14.0 && area.height > lines * 17.0 + 8.0
    };
    let (x, y) = (area.x + 8.0, area.y + 19.0);
    if fits(name, BOLD, 1.0) {
        let _ = write!(out, r#"<text class="tile-name" x="{x:.1}" y="{y:.1}">{}</text>"#, escaped(name));
    }
    if let Some(text) = texts.iter().find(|text| fits(name, BOLD, 2.0) && fits(text, LETTER, 2.0)) {
        let _ = write!(out, r#"<text x="{x:.1}" y="{:.1}">{}</text>"#, y + 17.0, escaped(text));
    }
}

/// The areas of `sizes` in `whole`, in their order. What has no size has no area.
pub(crate) fn areas(sizes: &[u64], whole: Area) -> Vec<Area> {
    let nothing = Area { width: 0.0, height: 0.0, ..whole };
    let mut areas = vec![nothing; sizes.len()];
    let total: f64 = sizes.iter().map(|size| *size as f64).sum();
    let mut order: Vec<usize> = (0..sizes.len()).filter(|i| sizes.get(*i).is_some_and(|size| *size != 0)).collect();
    order.sort_by_key(|i| (std::cmp::Reverse(sizes.get(*i).copied()), *i));
    let scale = whole.width * whole.height / total;
    let size = |i: &usize| sizes.get(*i).map_or(0.0, |size| *size as f64 * scale);
    let (mut rest, mut left) = (order.as_slice(), whole);
    while !rest.is_empty() {
        let side = left.width.min(left.height);
        let mut taken = 1;
        while taken < rest.len() && worst(&rest[..taken + 1], &size, side) <= worst(&rest[..taken], &size, side) {
            taken += 1;
        }
        let (strip, others) = rest.split_at(taken);
        left = lay(strip, &size, left, &mut areas);
        rest = others;
    }
    areas
}

/// How far from a square the worst rectangle of a strip is.
fn worst(strip: &[usize], size: &dyn Fn(&usize) -> f64, side: f64) -> f64 {
    let sum: f64 = strip.iter().map(size).sum();
    let depth = sum / side;
    strip.iter().map(|i| depth * depth / size(i)).map(|ratio| ratio.max(1.0 / ratio)).fold(0.0, f64::max)
}

/// Lays a strip along the shorter side of `left`; returns what is left then.
fn lay(strip: &[usize], size: &dyn Fn(&usize) -> f64, left: Area, areas: &mut [Area]) -> Area {
    let sum: f64 = strip.iter().map(size).sum();
    let upright = left.width >= left.height;
    let depth = sum / if upright { left.height } else { left.width };
    let mut at = 0.0;
    for i in strip {
        let len = size(i) / depth;
        if let Some(area) = areas.get_mut(*i) {
            *area = match upright {
                true => Area { x: left.x, y: left.y + at, width: depth, height: len },
                false => Area { x: left.x + at, y: left.y, width: len, height: depth },
            };
        }
        at += len;
    }
    match upright {
        true => Area { x: left.x + depth, width: (left.width - depth).max(0.0), ..left },
        false => Area { y: left.y + depth, height: (left.height - depth).max(0.0), ..left },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_as_sizes_are() {
        let whole = Area { x: 10.0, y: 20.0, width: 600.0, height: 400.0 };
        let sizes = [6, 0, 6, 4, 3, 2, 2, 1];
        let areas = areas(&sizes, whole);
        for (size, area) in sizes.iter().zip(&areas) {
            assert!((area.width * area.height - *size as f64 * 10_000.0).abs() < 1e-6, "{size}: {area:?}");
            assert!(area.x >= 10.0 && area.x + area.width <= 610.0 + 1e-6, "{area:?}");
            assert!(area.y >= 20.0 && area.y + area.height <= 420.0 + 1e-6, "{area:?}");
        }
        // as in the paper: none is more than 3 times as long as wide
        let ratio = |area: &Area| (area.width / area.height).max(area.height / area.width);
        assert!(areas.iter().filter(|area| area.width > 0.0).all(|area| ratio(area) < 3.0));
        assert!(super::areas(&[0, 0], whole).iter().all(|area| area.width == 0.0));
    }
}
