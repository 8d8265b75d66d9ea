//! The rules, each as a function of one row.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use serde_json::json;
use zoo_core::{
    CallOptions, Encoder, FeatureMap, FeatureRequest, Grid, ImageBatch, Layers, OptionKind, Origin,
    Resolution,
};
use zoo_host::EncoderRequest;
use zoo_preprocess::{Decoded, Format, RgbImage};

use zoo_tests::noise::uniform;

use crate::{Doors, Subject, subjects, support, zoo};

type Checked = Result<(), String>;

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        let holds: bool = $condition;
        if !holds {
            return Err(format!($($message)+));
        }
    };
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The message of something that must fail.
fn fails<T, E: std::fmt::Display>(result: Result<T, E>, what: &str) -> Result<String, String> {
    match result {
        Ok(_) => Err(format!("{what} was accepted")),
        Err(error) => Ok(error.to_string()),
    }
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn bits(maps: &[FeatureMap]) -> Vec<u32> {
    let tensors = maps.iter().flat_map(|m| std::iter::once(&m.tokens).chain(&m.prefix));
    tensors.flat_map(values).map(f32::to_bits).collect()
}

fn all(norm: bool) -> FeatureRequest {
    FeatureRequest { layers: Layers::All, norm, prefix: true }
}

fn layers(layers: Layers) -> FeatureRequest {
    FeatureRequest { layers, norm: false, prefix: false }
}

fn pixels(batch: usize, height: usize, width: usize) -> Tensor {
    uniform(&[batch, 3, height, width], (height * 31 + width) as u32)
}

fn native(subject: &Subject) -> Tensor {
    let side = subject.encoder().descriptor().native;
    pixels(1, side, side)
}

/// The native size and, where others are legal, some that are not square.
fn sizes(subject: &Subject) -> Vec<(usize, usize)> {
    let descriptor = subject.encoder().descriptor();
    let n = descriptor.native;
    match descriptor.resolution {
        Resolution::Fixed => vec![(n, n)],
        Resolution::MultipleOf(m) => vec![(n, n), (m, 3 * m), (n + m, n)],
        Resolution::AtLeast(m) => vec![(n, n), (m, 2 * m + 1), (n + m, n - 1)],
    }
}

/// Without weights, through the library, and linked in: one description, of this row.
pub fn descriptors_agree(subject: &Subject) -> Checked {
    let opened = subject.encoder().descriptor();
    ensure!(opened == &subject.inspection.descriptor, "opened and inspected differ");
    ensure!(opened == subject.f32.linked.descriptor(), "the two doors differ");
    ensure!(opened.id == subject.row.id, "calls itself `{}`", opened.id);
    let promised: u64 =
        subject.inspection.tensors.iter().map(|t| t.shape.iter().product::<usize>() as u64).sum();
    ensure!(opened.parameters == promised, "{} parameters, tensors hold {promised}", opened.parameters);
    ensure!(opened.layers.iter().all(|l| l.channels > 0 && l.stride > 0), "an empty layer");
    Ok(())
}

pub fn maps_have_the_promised_shapes(subject: &Subject) -> Checked {
    let descriptor = subject.encoder().descriptor();
    for (height, width) in sizes(subject) {
        for norm in [false, true] {
            let maps = subject.encoder().forward(&pixels(2, height, width), &all(norm)).map_err(text)?;
            ensure!(maps.len() == descriptor.layers.len(), "{} maps", maps.len());
            for (layer, (map, info)) in maps.iter().zip(&descriptor.layers).enumerate() {
                let at = format!("layer {layer} of {height}×{width}");
                let grid = descriptor.grid(layer, height, width).map_err(text)?;
                ensure!((map.layer, map.grid) == (layer, grid), "{at}: layer {} on {}", map.layer, map.grid);
                ensure!(
                    map.tokens.dims() == [2, grid.cells(), info.channels],
                    "{at}: {:?}",
                    map.tokens.dims()
                );
                ensure!(map.normed == (norm && descriptor.final_norm), "{at}: normed is {}", map.normed);
                let prefix = map.prefix.as_ref().map(|p| p.dims().to_vec());
                let promised =
                    (!descriptor.prefix.is_empty()).then(|| vec![2, descriptor.prefix.len(), info.channels]);
                ensure!(prefix == promised, "{at}: prefix {prefix:?}, promised {promised:?}");
                let tokens = values(&map.tokens);
                ensure!(tokens.iter().all(|v| v.is_finite()), "{at}: not finite");
                ensure!(tokens.iter().any(|v| *v != tokens[0]), "{at}: constant");
            }
        }
    }
    Ok(())
}

pub fn layer_indices_are_those_of_timm(subject: &Subject) -> Checked {
    let (encoder, x) = (subject.encoder(), native(subject));
    let depth = encoder.descriptor().layers.len();
    let every = encoder.forward(&x, &layers(Layers::All)).map_err(text)?;
    let last = i32::try_from(depth).map_err(text)? - 1;
    for (request, expected) in [
        (Layers::Indices(vec![-1]), vec![depth - 1]),
        (Layers::Indices(vec![-1 - last, last]), vec![0, depth - 1]),
        (Layers::Indices(vec![last, 0, last]), vec![depth - 1, 0, depth - 1]),
        (Layers::Last(2), vec![depth - 2, depth - 1]),
    ] {
        let maps = encoder.forward(&x, &layers(request.clone())).map_err(text)?;
        let got: Vec<usize> = maps.iter().map(|m| m.layer).collect();
        ensure!(got == expected, "{request:?} gave {got:?}");
        for map in &maps {
            ensure!(map.prefix.is_none(), "{request:?} gave prefix tokens that nobody asked for");
            ensure!(
                values(&map.tokens) == values(&every[map.layer].tokens),
                "{request:?}: layer {} differs from itself among all layers",
                map.layer
            );
        }
    }
    for wrong in [last + 1, -2 - last] {
        let result = encoder.forward(&x, &layers(Layers::Indices(vec![wrong])));
        let message = fails(result, &format!("layer {wrong}"))?;
        ensure!(message.contains("out of range"), "layer {wrong}: {message}");
    }
    let message = fails(encoder.forward(&x, &layers(Layers::Indices(vec![]))), "an empty list")?;
    ensure!(message.contains("no layer"), "{message}");
    Ok(())
}

pub fn the_final_norm_is_applied_on_request(subject: &Subject) -> Checked {
    let x = native(subject);
    let [plain, normed] = [false, true].map(|norm| subject.encoder().forward(&x, &all(norm)).unwrap());
    let same = bits(&plain) == bits(&normed);
    let promised = subject.encoder().descriptor().final_norm;
    ensure!(same != promised, "final_norm is {promised}, but asking for it changes nothing or something");
    Ok(())
}

pub fn the_same_input_gives_the_same_bits(subject: &Subject) -> Checked {
    let x = native(subject);
    let [first, second] = [(); 2].map(|()| bits(&subject.encoder().forward(&x, &all(true)).unwrap()));
    ensure!(first == second, "two calls differ");
    Ok(())
}

/// Bit by bit: an image among 32 is that image alone.
pub fn a_batch_is_its_images(subject: &Subject) -> Checked {
    let (height, width) = *sizes(subject).last().ok_or("no size")?;
    let x = pixels(32, height, width);
    each_precision(subject, |doors| alone_as_among(doors.library(), &x, 0..32))
}

/// The same where a batch is so large that it goes through the network in several groups of images; with one row of
/// each plugin, as it takes thousands of small ones.
pub fn large_batches_are_their_images(subject: &Subject) -> Checked {
    let first = subjects().iter().find(|other| other.row.plugin == subject.row.plugin);
    if first.is_none_or(|first| first.row.id != subject.row.id) {
        return Ok(());
    }
    let n = subject.encoder().descriptor().native;
    // More to hold for an image, and so fewer images, where the size is free.
    let (height, width) = match subject.encoder().descriptor().resolution {
        Resolution::Fixed => (n, n),
        Resolution::MultipleOf(m) => (4 * n + m, 4 * n),
        Resolution::AtLeast(_) => (4 * n + 1, 4 * n - 1),
    };
    each_precision(subject, |doors| {
        let held = |images| doors.library().cost(images, height, width).activation_bytes;
        // What is held grows with the images until they are cut into groups.
        let whole = (0..16).map(|doublings| 1 << doublings).find(|&images| held(2 * images) <= held(images));
        let images = 2 * whole.ok_or("no batch is large enough for groups")? + 1;
        let x = pixels(images, height, width);
        let rows = (0..images).step_by((images / 12).max(1)).chain([images / 3, 2 * images / 3, images - 1]);
        alone_as_among(doors.library(), &x, rows)
    })
}

/// A check in both precisions.
fn each_precision(subject: &Subject, check: impl Fn(&Doors) -> Checked) -> Checked {
    let named = |doors: &Doors| check(doors).map_err(|e| format!("in {:?}: {e}", doors.precision));
    subject.precisions().into_iter().try_for_each(named)
}

/// Images of these rows of `x` give the same bits alone as among all.
fn alone_as_among(encoder: &dyn Encoder, x: &Tensor, rows: impl IntoIterator<Item = usize>) -> Checked {
    let together = encoder.forward(x, &all(true)).map_err(text)?;
    for row in rows {
        let row_of = |tensor: &Tensor| tensor.narrow(0, row, 1).map_err(text);
        let among = |map: &FeatureMap| {
            let prefix = map.prefix.as_ref().map(row_of).transpose()?;
            Ok(FeatureMap { tokens: row_of(&map.tokens)?, prefix, ..map.clone() })
        };
        let among = together.iter().map(among).collect::<Result<Vec<_>, String>>()?;
        let alone = encoder.forward(&row_of(x)?, &all(true)).map_err(text)?;
        ensure!(bits(&alone) == bits(&among), "image {row} of {} alone differs", x.dims()[0]);
    }
    Ok(())
}

/// Bit by bit: the plugin's library has a pool of threads of its own, as large as the machine; linked in, the plugin
/// runs on the pool that calls it.
pub fn threads_change_nothing(subject: &Subject) -> Checked {
    let (height, width) = *sizes(subject).last().ok_or("no size")?;
    let x = pixels(3, height, width);
    each_precision(subject, |doors| {
        let expected = bits(&doors.library().forward(&x, &all(true)).map_err(text)?);
        for threads in [1, 2, 3, 16] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(text)?;
            let maps = pool.install(|| doors.linked.forward(&x, &all(true))).map_err(text)?;
            ensure!(bits(&maps) == expected, "another result on {threads} threads");
        }
        Ok(())
    })
}

pub fn illegal_sizes_are_refused(subject: &Subject) -> Checked {
    let descriptor = subject.encoder().descriptor();
    let n = descriptor.native;
    let illegal = match descriptor.resolution {
        Resolution::Fixed => vec![(n, n + 1), (2 * n, 2 * n)],
        Resolution::MultipleOf(m) => vec![(n, n + 1), (m / 2, n), (0, n)],
        Resolution::AtLeast(m) => vec![(n, m - 1), (0, n)],
    };
    for (height, width) in illegal.into_iter().filter(|(h, w)| h * w > 0) {
        let result = subject.encoder().forward(&pixels(1, height, width), &all(false));
        let message = fails(result, &format!("{height}×{width}"))?;
        let size = format!("{height}×{width}");
        ensure!(message.contains(&size) && message.contains(&subject.row.id), "{size}: {message}");
    }
    Ok(())
}

/// The row's own layers: each resampled by itself to the grid that is asked for, then joined on channels.
pub fn token_counts_are_squares(subject: &Subject) -> Checked {
    let side = subject.encoder().descriptor().native;
    let origin = Origin { image: 0, size: (side as u32, side as u32), crop: None, padded: false };
    let batch = ImageBatch::new(native(subject), vec![origin]).map_err(text)?;
    let encode = |request: &EncoderRequest| zoo().encoder(request).and_then(|session| session.encode(&batch));
    let select = &subject.row.select;
    let said = subject.encoder().descriptor();
    // On its own grid, whatever the row makes of all of them.
    let alone = |&layer: &i32| -> Result<EncoderRequest, String> {
        let place = Layers::Indices(vec![layer]).resolve(said.layers.len()).map_err(text)?;
        let own = place.first().map(|&place| said.grid(place, side, side)).transpose().map_err(text)?;
        Ok(EncoderRequest {
            layers: Some(vec![layer]),
            norm: Some(select.norm),
            tokens: own.map(Grid::cells),
            ..subject.request()
        })
    };
    let single = |layer: &i32| encode(&alone(layer)?).map_err(text);
    let singles = select.layers.iter().map(single).collect::<Result<Vec<_>, String>>()?;
    let own = singles.last().ok_or("no layer")?.grid;
    let channels: usize = singles.iter().map(|single| single.tokens.dims()[2]).sum();
    for (tokens, grid) in [
        (None, select.tokens.map_or(own, |tokens| Grid::square(tokens.isqrt()))),
        (Some(1), Grid::square(1)),
        (Some(9), Grid::square(3)),
        (Some(25), Grid::square(5)),
        (Some(own.cells()), own),
    ] {
        let seen = encode(&EncoderRequest { tokens, ..subject.request() }).map_err(text)?;
        ensure!(seen.grid == grid, "{tokens:?} tokens on {}", seen.grid);
        ensure!(seen.tokens.dims() == [1, grid.cells(), channels], "{tokens:?}: {:?}", seen.tokens.dims());
        let parts = singles.iter().map(|s| zoo_nn::resample::tokens(&s.tokens, s.grid, grid));
        let parts = parts.collect::<Result<Vec<_>, _>>().map_err(text)?;
        let joined = Tensor::cat(&parts, 2).map_err(text)?;
        ensure!(values(&seen.tokens) == values(&joined), "{tokens:?} tokens: not its layers, resampled");
    }
    let odd = EncoderRequest { tokens: Some(5), ..subject.request() };
    let result = zoo().encoder(&odd).and_then(|session| session.encode(&batch));
    let message = fails(result, "5 tokens")?;
    ensure!(message.contains("4 and 9"), "{message}");
    Ok(())
}

/// The whole way: pixels of the row's pipeline at the native size, the row's own layers.
pub fn photographs_go_through(subject: &Subject) -> Checked {
    let bytes = (0..61 * 35 * 3).map(|i| (i * 7 % 251) as u8).collect();
    let image = RgbImage::from_raw(61, 35, bytes).ok_or("no image")?;
    let photo = Decoded::new(image, Format::Png);
    let batch = subject.f32.session.prepare(&[photo]).map_err(text)?;
    let side = subject.encoder().descriptor().native;
    ensure!(batch.pixels().dims() == [1, 3, side, side], "pixels {:?}", batch.pixels().dims());
    let origin = &batch.origins()[0];
    ensure!(origin.size == (61, 35) && origin.padded, "origin {origin:?}");
    let seen = subject.f32.session.encode(&batch).map_err(text)?;
    let select = &subject.row.select;
    let request =
        FeatureRequest { layers: Layers::Indices(select.layers.clone()), norm: select.norm, prefix: false };
    let maps = subject.encoder().forward(batch.pixels(), &request).map_err(text)?;
    let channels: usize = maps.iter().map(|m| m.tokens.dims()[2]).sum();
    ensure!(seen.tokens.dims() == [1, seen.grid.cells(), channels], "{:?}", seen.tokens.dims());
    ensure!(maps.len() > 1 || values(&seen.tokens) == values(&maps[0].tokens), "not the layer of the row");
    Ok(())
}

pub fn both_doors_give_the_same_bits(subject: &Subject) -> Checked {
    each_precision(subject, |doors| {
        for (height, width) in sizes(subject) {
            let x = pixels(2, height, width);
            for norm in [false, true] {
                let forward = |encoder: &dyn Encoder| encoder.forward(&x, &all(norm)).map_err(text);
                let [library, linked] = [forward(doors.library())?, forward(&*doors.linked)?];
                let computed = library[0].tokens.dtype();
                ensure!(computed == doors.precision.dtype(), "features in {computed:?}");
                ensure!(bits(&library) == bits(&linked), "{height}×{width}, norm {norm}: the doors differ");
            }
        }
        let [library, linked] = [doors.library(), &*doors.linked].map(|door| door.cost(2, 96, 128));
        ensure!(library == linked, "the doors differ in cost");
        Ok(())
    })
}

/// What the descriptor lists can be set, to the same bits through both doors, and nothing else can.
pub fn options_are_those_of_the_descriptor(subject: &Subject) -> Checked {
    let (x, said) = (native(subject), subject.encoder().descriptor());
    let mut none = CallOptions::default();
    none.set("nonsense", "1");
    let message = fails(subject.encoder().forward_with(&x, &all(false), &none), "the option `nonsense`")?;
    ensure!(message.contains("`nonsense`") && message.contains(&subject.row.id), "{message}");
    let plain = bits(&subject.encoder().forward(&x, &all(false)).map_err(text)?);
    for option in &said.options {
        let mut options = CallOptions::default();
        match &option.kind {
            OptionKind::Integer { least, .. } => options.set(&option.name, &least.to_string()),
            OptionKind::Choice { among, .. } => options.set(&option.name, among.last().ok_or("no choice")?),
            OptionKind::Tensor { shape } => {
                let shape: Vec<usize> =
                    shape.iter().map(|extent| extent.of([1, said.native, said.native])).collect();
                options.put(&option.name, uniform(&shape, 77));
            }
        }
        let see = |encoder: &dyn Encoder| encoder.forward_with(&x, &all(false), &options).map_err(text);
        let [library, linked] = [see(subject.encoder())?, see(&*subject.f32.linked)?];
        ensure!(bits(&library) == bits(&linked), "option `{}`: the doors differ", option.name);
        ensure!(bits(&library) != plain, "option `{}` changes nothing", option.name);
    }
    Ok(())
}

pub fn pixels_must_be_normalised_images(subject: &Subject) -> Checked {
    let side = subject.encoder().descriptor().native;
    let bytes = Tensor::zeros((1, 3, side, side), DType::U8, &Device::Cpu).map_err(text)?;
    for (what, wrong) in [
        ("one channel", uniform(&[1, 1, side, side], 1)),
        ("no batch", uniform(&[3, side, side], 1)),
        ("channels last", uniform(&[1, side, side, 3], 1)),
        ("bytes", bytes),
    ] {
        let message = fails(subject.encoder().forward(&wrong, &all(false)), what)?;
        ensure!(!message.contains("panicked"), "{what}: {message}");
    }
    Ok(())
}

/// One error lists what is missing, what is left over, and what has another shape.
pub fn weights_must_fit_exactly(subject: &Subject) -> Checked {
    let mut tensors: HashMap<String, Tensor> =
        candle_core::safetensors::load(&subject.weights, &Device::Cpu).map_err(text)?;
    let [.., misshapen, missing] = &subject.inspection.tensors[..] else { return Err("few tensors".into()) };
    tensors.remove(&missing.key);
    tensors.insert(misshapen.key.clone(), uniform(&[7, 5], 1));
    let surplus = format!("{}_again", misshapen.key);
    tensors.insert(surplus.clone(), uniform(&[2], 1));
    let path = support::folder().join(format!("{}-wrong.safetensors", subject.row.id));
    candle_core::safetensors::save(&tensors, &path).map_err(text)?;
    let request = EncoderRequest { weights: Some(path), ..subject.request() };
    let message = fails(zoo().encoder(&request), "a file with wrong tensors")?;
    for key in [&missing.key, &misshapen.key, &surplus] {
        ensure!(message.contains(key), "`{key}` is not in: {message}");
    }
    Ok(())
}

pub fn numbers_must_exist(subject: &Subject) -> Checked {
    let mut request = subject.request();
    request.arch_override.get_or_insert_default().insert("nonsense".into(), json!(1));
    let message = fails(zoo().encoder(&request), "the number `nonsense`")?;
    ensure!(message.contains("nonsense") && message.contains(&subject.row.id), "{message}");
    Ok(())
}

pub fn costs_grow_with_the_work(subject: &Subject) -> Checked {
    let encoder = subject.encoder();
    let side = encoder.descriptor().native;
    let (one, two) = (encoder.cost(1, side, side), encoder.cost(2, side, side));
    ensure!(one.macs > 0 && one.activation_bytes > 0, "a call costs nothing: {one:?}");
    ensure!(two.macs == 2 * one.macs, "two images: {} and {}", one.macs, two.macs);
    ensure!(encoder.cost(1, 2 * side, side).macs > one.macs, "a larger image costs no more");
    Ok(())
}

/// Along the gradient that an encoder promises, its features really change as predicted.
pub fn gradients_reach_the_pixels(subject: &Subject) -> Checked {
    let encoder = subject.encoder();
    ensure!(encoder.descriptor().vjp == encoder.differentiable().is_some(), "`vjp` and the door disagree");
    let Some(door) = encoder.differentiable() else { return Ok(()) };
    let (x, request) = (native(subject), layers(Layers::Indices(vec![-1])));
    let map = &encoder.forward(&x, &request).map_err(text)?[0];
    let cotangent = uniform(map.tokens.dims(), 5);
    let (gradient, none) = door.vjp(&x, &request, std::slice::from_ref(&cotangent), &[]).map_err(text)?;
    ensure!(none.is_empty() && gradient.dims() == x.dims(), "gradient {:?}", gradient.dims());
    let g: Vec<f64> = values(&gradient).into_iter().map(f64::from).collect();
    let square: f64 = g.iter().map(|g| g * g).sum();
    ensure!(square.is_finite() && square > 0.0, "the gradient is {square}");
    let objective = |t: f64| -> Result<f64, String> {
        let x = (&x + (&gradient * (t / square)).map_err(text)?).map_err(text)?;
        let tokens = values(&encoder.forward(&x, &request).map_err(text)?[0].tokens);
        Ok(tokens.iter().zip(values(&cotangent)).map(|(t, c)| f64::from(*t) * f64::from(c)).sum())
    };
    let step = 1e-2 * square.sqrt();
    let slope = (objective(step)? - objective(-step)?) / (2.0 * step);
    ensure!((slope - 1.0).abs() < 3e-2, "a step along the gradient changes {slope} of what it should");
    Ok(())
}
