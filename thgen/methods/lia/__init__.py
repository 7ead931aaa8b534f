"""LIA: Latent Image Animator, learning to animate images via latent space navigation (Wang, Yang, Bremond, Dantcheva;
ICLR 2022). The code and the weights of the authors are released: `python -m thgen weights convert lia FILE`.

    picture      E(picture) -> source code w_a            512        nn.lia.Encoder
    motion       alpha = five linear layers of w_a         20         nn.lia.motion_mlp
    dictionary   Q of a QR factorisation               512 x 20       nn.lia.Dictionary
    absolute     w = w_a + Dir(alpha of the frame)
    relative     w = w_a + Dir(alpha of the frame) - Dir(alpha at the start) + Dir(alpha of the photo)
    picture      G(w, skip features of the photo)         256 px      nn.lia.Decoder; on a CPU nn.lia_painter

The dictionary is linear. So thgen's rule for a relative latent (own + frame - start), applied to alpha, is the relative
motion of the released code.

Deviations from the released code, with the reason.
 1. The start of a clip is the median of its first 5 frames, as for all methods of thgen; the released code takes the
    first frame alone, whose noise then shifts the whole video.
 2. The source is encoded once, not again for each frame. The result is the same.
 3. Pictures are clamped to [-1, 1]. The released demo stretches each video to its own darkest and brightest value,
    which changes the colours of the photo.
 4. Photos and frames are in the framing of thgen's crop, which has a side of 2.0 times the landmarks' box. The released
    weights were trained on other crops (VoxCeleb, Taichi, TED).
 5. Sliders of the 20 directions are offsets of alpha. The paper moves along single directions in figure 6 only.
"""
