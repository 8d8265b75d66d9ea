//! A picture being drawn.

use image::RgbImage;

/// An sRGB colour.
pub type Rgb = [u8; 3];

/// An RGB image with the few drawing operations that a picture needs. Everything outside is clipped.
pub struct Canvas {
    image: RgbImage,
}

impl Canvas {
    /// A canvas of one colour.
    pub fn new(width: u32, height: u32, colour: Rgb) -> Self {
        Self { image: RgbImage::from_pixel(width, height, image::Rgb(colour)) }
    }

    /// What was drawn.
    pub fn into_image(self) -> RgbImage {
        self.image
    }

    /// Mixes `colour` into one pixel; `alpha` 1 replaces it.
    pub fn blend(&mut self, x: i32, y: i32, colour: Rgb, alpha: f32) {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
        if alpha > 0.0 && x < self.image.width() && y < self.image.height() {
            let pixel = &mut self.image.get_pixel_mut(x, y).0;
            *pixel = mix(*pixel, colour, alpha);
        }
    }

    /// A rectangle with rounded corners whose pixels are `paint(column, row)`.
    pub fn rounded(&mut self, [x, y, w, h]: [u32; 4], radius: f32, mut paint: impl FnMut(u32, u32) -> Rgb) {
        let radius = radius.min(w as f32 / 2.0).min(h as f32 / 2.0);
        for row in 0..h {
            for column in 0..w {
                let alpha = corner_alpha(column as f32 + 0.5, row as f32 + 0.5, w as f32, h as f32, radius);
                self.blend((x + column) as i32, (y + row) as i32, paint(column, row), alpha);
            }
        }
    }
}

/// `a` with a share `alpha` of `b`.
pub fn mix(a: Rgb, b: Rgb, alpha: f32) -> Rgb {
    std::array::from_fn(|i| {
        (f32::from(a[i]) + (f32::from(b[i]) - f32::from(a[i])) * alpha).round().clamp(0.0, 255.0) as u8
    })
}

/// How much of a pixel lies within a rounded rectangle.
fn corner_alpha(x: f32, y: f32, w: f32, h: f32, radius: f32) -> f32 {
    let dx = (radius - x).max(x - (w - radius)).max(0.0);
    let dy = (radius - y).max(y - (h - radius)).max(0.0);
    if dx > 0.0 && dy > 0.0 { (radius - dx.hypot(dy) + 0.5).clamp(0.0, 1.0) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawing_outside_is_clipped() {
        let mut canvas = Canvas::new(2, 2, [0, 0, 0]);
        canvas.blend(-1, 0, [255, 0, 0], 1.0);
        canvas.blend(2, 0, [255, 0, 0], 1.0);
        canvas.blend(1, 1, [200, 100, 0], 0.5);
        let image = canvas.into_image();
        assert_eq!(image.get_pixel(1, 1).0, [100, 50, 0]);
        assert_eq!(image.pixels().filter(|p| p.0 != [0, 0, 0]).count(), 1);
    }

    #[test]
    fn corners_are_cut_and_edges_are_not() {
        let mut canvas = Canvas::new(20, 20, [0, 0, 0]);
        canvas.rounded([0, 0, 20, 20], 8.0, |_, _| [255, 255, 255]);
        let image = canvas.into_image();
        assert_eq!(image.get_pixel(0, 0).0, [0, 0, 0]);
        assert_eq!(image.get_pixel(10, 0).0, [255, 255, 255]);
    }
}
