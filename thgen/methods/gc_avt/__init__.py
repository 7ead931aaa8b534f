"""GC-AVT: Expressive Talking Head Generation with Granular Audio-Visual Control (Liang, Pan, Guo, Zhou, Hong, Han, Han,
Liu, Ding, Wang; CVPR 2022). Equations: `equations`, top to bottom as in the paper. No code was released.

    inputs      frame, frame of another moment -> mouth, face, head   section 3.2   inputs, on `thgen.face_parts`
    identity    E_i(K frames) -> f_id, their mean         512         ResNeXt-50    networks.Identity
    pose        E_p(head without organs) -> f_p            12         MobileNetV2   nn.mobilenet
    expression  E_e(face with another mouth) -> f_e       256         MobileNetV2   nn.mobilenet
    content     E_c(mouth) -> f_c^v                       256         ResNetSE34    networks.Content
    voice       E_a(voice) -> f_c^a                       256         ResNetSE34    networks.Voice
    picture     G(f_id, f_p, f_e, f_c)                    256 px      AdaIN         nn.adain_generator
    losses      L_c, L1, VGG19, VGG-face, D               eq. 1-5     stages, training.priors, nn.discriminators

What the encoders see of a rendered frame: docs/gc_avt_inputs.jpg (`python -m thgen evaluate inputs --seed 11`).

Numbers of the paper, and where they stand: K = 8, embeddings of 512, 12, 256, 256 and 256 (`networks`, `latents`,
`paper.yaml`); 256 px; batches of 16 (`paper.yaml`); 16 kHz, FFT 1280, hop 160, 80 bands, 0.2 s (`audio.mel`); 25 frames
per second (`schema`); shift of the mouth below one second (`face_parts.mouth_swap`).

Deviations from the paper, with the reason. "Parent" means the released code of a work that the paper builds on.
 1. Geometry of the inputs (`face_parts`): the paper shows it in figure 2 and gives no numbers. Square of the mouth: 1.6
    times its box, 112 px. Turns: up to 20 degrees. Mouth of another moment: 4 to 12 frames away, aligned by nostrils
    and corners of the mouth, soft edge of 8 px, colours shifted to agree at the edge.
 2. The cover of the organs has the mean colour of the skin around it. Its margin is random in training: the hull of the
    organs alone would tell how wide the mouth is open.
 3. At inference the mouth of a clip's frame comes from 8 frames later (before, at the end), so that E_e sees what it
    was trained with. The paper does not say. A photo has its own mouth.
 4. Colour transfer is Reinhard's, to the colours of another person of the batch. Strengths of blur, sharpening and JPEG
    are the parent's (latent-pose). Parent scales and shifts of the pose input are left out, the paper lists none.
 5. Background: renders know theirs, for other pictures the analyser segments it; the paper has Graphonomy. Landmarks
    come from the renderer and from the analyser; the paper retrained FAN. They only place crops and masks.
 6. Frames are in the framing of thgen's crop, which has a side of 2.0 times the landmarks' box; the paper's has 1.8
    times the S3FD box. All methods of thgen read and write the same crop.
 7. Pictures lie in [-1, 1], as in all of thgen; the parent's in [0, 1]. Its output 0.75 tanh + 0.5 becomes 1.5 tanh.
 8. G has three channels on a black background. The parent's fourth one, a mask with a Dice loss, is left out, because
    the paper lists no such loss. The paper names the lost background as its limit; here the analyser segments what G
    made, and it is laid over the photo's own background.
 9. E_c: ResNetSE34 is a network of spectrograms. It gets three input channels and an average over the picture.
10. The window of 0.2 s has its middle 5 ms after that of the frame: mel frames come every 10 ms.
11. Eq. 1: cosines are divided by a temperature of 0.1; 1 is as printed, which cannot fall below 0.73 for 8 negatives.
    The features of 5 consecutive frames are joined ("timely assembled"); negatives are other moments of the same clip.
12. L_c changes the audio branch alone, as section 3.3 says. In the stage "sync" that leaves E_c as it was drawn at
    random, because no other loss teaches it before the joint training. Mouths of one clip then have cosines of 0.9999,
    and L_c stays near log(M), 2.197 for 9 moments. `data.audio_alone: false` trains both branches in this stage.
13. Identity loss: the parent compares embeddings with rows of its discriminator, one per video. A multi-scale
    discriminator has no such rows, so we compare ArcFace embeddings of pictures (cosine). Without the weights of an
    identity network the loss is off, and the manifest says so.
14. Eq. 2 and 3 are means, not sums, of pixels' and features' distances; otherwise the weights would depend on sizes.
15. VGG-face: "a VGG-19 pre-trained on face recognition" is not published as safetensors under a free licence. The loss
    is off without it, and the manifest says so; its own weight of 5 is the parent's (PC-AVS).
16. Eq. 4 is printed as a minimum over G of log(1 - D). G minimises -log D, which has the same fixed point and a
    gradient from the start. D: layers and sizes of SPADE; the paper says "multi-scale with N_D layers".
17. Weights of losses: 10, 10 and 5 (parent PC-AVS), L_c and the identity loss 1. Adam, learning rates and the average
    of weights: parent latent-pose. The paper gives none of them, and 80 epochs of a set of unknown size.
18. Exported latents count from a rest: pose and expression from their means over clips, content from the voice of
    silence (`stages.Joint.export`). So a pose of 0 is the frontalised head of figure 4; the paper does not say how it
    frontalises.
19. Training data are rendered people. VoxCeleb2 (2,000 people for training, 100 for tests) and MEAD may not be
    redistributed. So tables 1 to 3 cannot be reproduced number by number.
"""
