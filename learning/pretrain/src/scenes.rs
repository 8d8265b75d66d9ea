//! Pictures of the world with what is true of them, as squares.

use image::RgbImage;
use zoo_world::draw::Mix;
use zoo_world::scene::{Kind, Scene, Split};
use zoo_world::truth::Truth;
use zoo_world::{render, scene};

use crate::recipe::World;

/// Where scenes come from, and how large their pictures are.
#[derive(Debug, Clone)]
pub struct Scenes {
    seed: u64,
    mix: Mix,
    split: Split,
    side: u32,
    pad: [u8; 3],
}

/// A picture and what each of its pixels shows. `side × side`, row-major; what the picture lacks of a square is padded.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The picture.
    pub image: RgbImage,
    /// Number of the class that is seen, grounds included; 0 outside the picture.
    pub class: Vec<u8>,
    /// Metres along the optical axis; infinite where there is no end, negative where nothing is known.
    pub depth: Vec<f32>,
    /// What is seen.
    pub scene: Scene,
    /// What is true of it.
    pub truth: Truth,
}

impl Scenes {
    /// Scenes of a split, as squares of `side` pixels padded with the colour `pad`.
    pub fn new(world: &World, split: Split, side: u32, pad: [u8; 3]) -> Self {
        let mut mix = Mix::default();
        if !world.kinds.is_empty() {
            mix = Mix { room: 0, flat: 0, page: 0, chart: 0 };
            world.kinds.iter().for_each(|kind: &Kind| *mix.weight(*kind) += 1);
        }
        Self { seed: world.seed, mix, split, side, pad }
    }

    /// The scene of that number.
    pub fn show(&self, index: u64) -> Shown {
        let scene = scene(self.seed, self.mix, self.split, index);
        let seen = render(&scene, self.side);
        let truth = Truth::of(&scene, &seen);
        let side = self.side as usize;
        // As `expand2square` of the reference, which the host's padding follows.
        let (left, top) = ((side - seen.width) / 2, (side - seen.height) / 2);
        let mut image = RgbImage::from_pixel(self.side, self.side, image::Rgb(self.pad));
        let (mut class, mut depth) = (vec![0; side * side], vec![-1.0; side * side]);
        for (at, rgb) in seen.rgb.chunks_exact(3).enumerate() {
            let (x, y) = (left + at % seen.width, top + at / seen.width);
            image.put_pixel(x as u32, y as u32, image::Rgb([rgb[0], rgb[1], rgb[2]]));
            class[y * side + x] = seen.class.get(at).copied().unwrap_or(0);
            if let Some(metres) = seen.depth.get(at) {
                depth[y * side + x] = if *metres > 0.0 { *metres } else { f32::INFINITY };
            }
        }
        Shown { image, class, depth, scene, truth }
    }
}
