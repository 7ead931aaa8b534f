"""Rasteriser in numba: z-buffer, normals, shading, correspondence, shadows. Functions of arrays alone."""

from __future__ import annotations

import math

import numba as nb
import numpy as np


@nb.njit(fastmath=True, cache=True)
def rasterize(points, triangles, two_sided, height, width):
    """Z-buffer of projected triangles.

    points [N 3] float32: x, y in pixels (y down), depth growing away; triangles [F 3]; two_sided [F] bool.
    Returns depth [H W] (1e9 if empty), triangle index [H W] (-1 if empty), barycentric weights [H W 3].
    Pixel (i, j) is sampled at its centre (j + 0.5, i + 0.5). Front faces are clockwise in the y-down image.
    """
    depth = np.full((height, width), 1e9, np.float32)
    face = np.full((height, width), -1, np.int32)
    weight = np.zeros((height, width, 3), np.float32)
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, bx, by, cx, cy = (points[i, 0], points[i, 1], points[j, 0], points[j, 1], points[k, 0], points[k, 1])
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area >= -1e-9 and not (two_sided[t] and area > 1e-9):
            continue
        x0 = max(0, math.ceil(min(ax, bx, cx) - 0.5))
        x1 = min(width - 1, math.floor(max(ax, bx, cx) - 0.5))
        y0 = max(0, math.ceil(min(ay, by, cy) - 0.5))
        y1 = min(height - 1, math.floor(max(ay, by, cy) - 0.5))
        inverse = np.float32(1.0) / area
        az, bz, cz = points[i, 2], points[j, 2], points[k, 2]
        # Weights are linear in x. This is their change from one pixel to the next.
        step0, step1 = (by - cy) * inverse, (cy - ay) * inverse
        px = np.float32(x0 + 0.5)
        for y in range(y0, y1 + 1):
            py = np.float32(y + 0.5)
            row0 = ((bx - px) * (cy - py) - (by - py) * (cx - px)) * inverse
            row1 = ((cx - px) * (ay - py) - (cy - py) * (ax - px)) * inverse
            for x in range(x0, x1 + 1):
                along = np.float32(x - x0)
                w0, w1 = row0 + along * step0, row1 + along * step1
                w2 = np.float32(1.0) - w0 - w1
                if w0 < 0 or w1 < 0 or w2 < 0:
                    continue
                z = w0 * az + w1 * bz + w2 * cz
                if z < depth[y, x]:
                    depth[y, x] = z
                    face[y, x] = t
                    weight[y, x, 0], weight[y, x, 1], weight[y, x, 2] = w0, w1, w2
    return depth, face, weight


@nb.njit(fastmath=True, cache=True)
def vertex_normals(vertices, triangles):
    """Area-weighted unit normals [N 3] of a mesh (float32)."""
    normals = np.zeros_like(vertices)
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, uy, uz = (vertices[j, 0] - vertices[i, 0], vertices[j, 1] - vertices[i, 1], vertices[j, 2] - vertices[i, 2])
        vx, vy, vz = (vertices[k, 0] - vertices[i, 0], vertices[k, 1] - vertices[i, 1], vertices[k, 2] - vertices[i, 2])
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for v in (i, j, k):
            normals[v, 0] += nx
            normals[v, 1] += ny
            normals[v, 2] += nz
    for v in range(normals.shape[0]):
        length = math.sqrt(normals[v, 0] ** 2 + normals[v, 1] ** 2 + normals[v, 2] ** 2) + 1e-9
        for k in range(3):
            normals[v, k] /= length
    return normals


@nb.njit(fastmath=True, cache=True)
def _bilinear(texture, u, v, out):
    """Write the texture [R R 3] at (u, v), v down, into `out` [3]."""
    height, width = texture.shape[0], texture.shape[1]
    x = min(max(u * width - 0.5, 0.0), width - 1.001)
    y = min(max(v * height - 0.5, 0.0), height - 1.001)
    x0, y0 = int(x), int(y)
    fx, fy = x - x0, y - y0
    for k in range(3):
        top = texture[y0, x0, k] * (1 - fx) + texture[y0, x0 + 1, k] * fx
        bottom = texture[y0 + 1, x0, k] * (1 - fx) + texture[y0 + 1, x0 + 1, k] * fx
        out[k] = top * (1 - fy) + bottom * fy


@nb.njit(fastmath=True, cache=True)
def shade(
    image, face, weight, triangles, triangle_uv, textured, normals, colour, gloss, texture, lights, tints, ambient, lit
):
    """Shade the visible surface (Blinn-Phong, viewer at +z). Writes into `image`.

    image [H W 3] float32: the background on entry, linear RGB from 0 to above 1. face, weight [H W]: from `rasterize`.
    triangle_uv [F 3 2], v down. textured [F]: whether the texture [R R 3] multiplies the vertex colour [N 3].
    gloss [N]: strength of the highlight. lights [3 3]: unit directions towards the lights; tints [3 3]: their colours.
    ambient [10 3]: irradiance at a surface with normal (x, y, z) is the sum of its rows times 1, x, y, z, xx, yy, zz,
    xy, xz, yz (Ramamoorthi and Hanrahan 2001). lit [H W]: share of the first light that arrives.
    """
    albedo = np.empty(3, np.float32)
    half = np.empty((3, 3), np.float32)
    around = np.ones(10, np.float32)
    for m in range(3):
        hx, hy, hz = lights[m, 0], lights[m, 1], lights[m, 2] + 1.0
        length = math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-6
        half[m, 0], half[m, 1], half[m, 2] = hx / length, hy / length, hz / length
    for y in range(face.shape[0]):
        for x in range(face.shape[1]):
            t = face[y, x]
            if t < 0:
                continue
            i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            a, b, c = weight[y, x, 0], weight[y, x, 1], weight[y, x, 2]
            nx = normals[i, 0] * a + normals[j, 0] * b + normals[k, 0] * c
            ny = normals[i, 1] * a + normals[j, 1] * b + normals[k, 1] * c
            nz = normals[i, 2] * a + normals[j, 2] * b + normals[k, 2] * c
            length = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-6
            if nz < 0 and not textured[t]:
                length = -length  # the back of a two-sided surface
            nx, ny, nz = nx / length, ny / length, nz / length
            if textured[t]:
                u = triangle_uv[t, 0, 0] * a + triangle_uv[t, 1, 0] * b + triangle_uv[t, 2, 0] * c
                v = triangle_uv[t, 0, 1] * a + triangle_uv[t, 1, 1] * b + triangle_uv[t, 2, 1] * c
                _bilinear(texture, u, v, albedo)
            else:
                albedo[0], albedo[1], albedo[2] = 1.0, 1.0, 1.0
            shine = gloss[i] * a + gloss[j] * b + gloss[k] * c
            around[1], around[2], around[3] = nx, ny, nz
            around[4], around[5], around[6] = nx * nx, ny * ny, nz * nz
            around[7], around[8], around[9] = nx * ny, nx * nz, ny * nz
            for ch in range(3):
                base = albedo[ch] * (colour[i, ch] * a + colour[j, ch] * b + colour[k, ch] * c)
                light = 0.0
                for m in range(10):
                    light += ambient[m, ch] * around[m]
                light = max(light, 0.0)
                spark = 0.0
                for m in range(3):
                    arrives = lit[y, x] if m == 0 else 1.0
                    lambert = nx * lights[m, 0] + ny * lights[m, 1] + nz * lights[m, 2]
                    # Wrapped diffuse light: skin scatters some light into the shaded side.
                    light += arrives * tints[m, ch] * max(0.0, (lambert + 0.15) / 1.15)
                    h = nx * half[m, 0] + ny * half[m, 1] + nz * half[m, 2]
                    if h > 0.7:
                        h2 = h * h
                        h8 = h2 * h2 * h2 * h2
                        spark += arrives * tints[m, ch] * h8 * h8 * h8
                image[y, x, ch] = base * light + shine * spark


@nb.njit(fastmath=True, cache=True)
def correspondence(face, weight, triangles, source_points, source_depth, tolerance, step):
    """Position of each pixel of a target frame in the source frame, and its visibility there.

    face, weight [H W]: buffers of the target. source_points [N 3]: the same mesh projected into the source frame.
    source_depth [H W]: z-buffer of the source. tolerance: in units of depth. step: take every `step`-th pixel.
    Returns position [H/step W/step 2] in source pixels (NaN on the background), and visibility uint8 [H/step W/step].
    """
    height, width = face.shape[0] // step, face.shape[1] // step
    position = np.full((height, width, 2), np.nan, np.float32)
    visible = np.zeros((height, width), np.uint8)
    for r in range(height):
        for c in range(width):
            y, x = r * step + step // 2, c * step + step // 2
            t = face[y, x]
            if t < 0:
                continue
            px, py, pz = 0.0, 0.0, 0.0
            for k in range(3):
                v = triangles[t, k]
                w = weight[y, x, k]
                px += w * source_points[v, 0]
                py += w * source_points[v, 1]
                pz += w * source_points[v, 2]
            position[r, c, 0], position[r, c, 1] = px, py
            ix, iy = int(px), int(py)
            if 0 <= ix < face.shape[1] and 0 <= iy < face.shape[0] and px >= 0 and py >= 0:
                visible[r, c] = pz < source_depth[iy, ix] + tolerance
    return position, visible


@nb.njit(fastmath=True, cache=True)
def lit_mask(face, weight, triangles, in_light, depth, bias):
    """Shadow mapping: 1 for pixels that a light reaches, else 0, float32 [H W].

    face, weight [H W]: buffers of the camera. in_light [N 3]: the same mesh in the view of the light, in pixels and
    depth of its z-buffer `depth` [M M]. bias: in units of depth. The background and pixels outside that buffer are lit.
    """
    out = np.ones(face.shape, np.float32)
    size = depth.shape[0]
    for y in range(face.shape[0]):
        for x in range(face.shape[1]):
            t = face[y, x]
            if t < 0:
                continue
            px, py, pz = 0.0, 0.0, 0.0
            for k in range(3):
                v = triangles[t, k]
                w = weight[y, x, k]
                px += w * in_light[v, 0]
                py += w * in_light[v, 1]
                pz += w * in_light[v, 2]
            ix, iy = int(px), int(py)
            if 0 <= ix < size and 0 <= iy < size and px >= 0 and py >= 0 and pz > depth[iy, ix] + bias:
                out[y, x] = 0.0
    return out
